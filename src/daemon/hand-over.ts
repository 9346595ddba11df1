// Taking over from a running process, and being taken over from: what a daemon does beside its work. One process keeps the
// books and listens; those before it finish what they have.

import type { ConfigText } from "../config/read-file.ts";
import { KeeperLink } from "../handover/keeper-link.ts";
import { handoverVersion, type Greeting, type Handed, type Place } from "../handover/messages.ts";
import { Remnants, type RemnantsParts } from "../handover/remnants.ts";
import { Succession } from "../handover/succession.ts";
import type { RunTokens } from "../layers/identity/index.ts";
import type { Listener } from "../server/listener.ts";
import { canShare, SharedPort } from "../server/port-sharing.ts";
import { isTaken, type Books } from "./books.ts";
import { wait } from "./wait.ts";

export interface HandOverParts {
  readonly socketPath: string;
  readonly books: Books;
  readonly runTokens: RunTokens;
  /** What is saved of configured limits. */
  readonly buckets: () => Greeting["buckets"];
  readonly listeners: () => readonly Listener[];
  readonly source: () => ConfigText;
  readonly report: (line: string) => void;
  readonly inFlight: () => number;
  readonly remnants: Pick<RemnantsParts, "tally" | "recordLost">;
  /** Before the books are put down. */
  readonly onGive: () => void;
  /** Another process serves: what runs here drains. */
  readonly onDrain: () => void;
  /** The other process is gone, and the books are here again: serves anew. Throws what is in the way. */
  readonly onReturn: () => Promise<void>;
  /** The other process stops: what runs here may finish for so long. */
  readonly onStopping: (graceMs: number) => void;
}

/** New connections go to the other process by then, and those that came before were accepted. */
const acceptedWithinMs = 300;
/** After the last answer: connections that clients keep open for their next request are told to close with that one. */
const lingerMs = 2_000;
const lookEveryMs = 250;
const drainedEveryMs = 50;
/** Longer than one that was killed keeps its lock. */
const returnTries = 40;
const returnEveryMs = 250;

const never = new AbortController().signal;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export type Ending = "replaced" | "stopped";

export class HandOver {
  readonly succession: Succession;
  readonly #parts: HandOverParts;
  #remnants: Remnants | null = null;
  #link: KeeperLink | null = null;
  #session = "";
  /** Processes that drained here when the books were put down. */
  #others: Handed["sessions"] = [];
  #draining = false;
  /** Ports are still being shared with the process before. */
  #settling: Promise<void> = Promise.resolve();
  #ended = Promise.withResolvers<Ending>();
  #stopping = false;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
    this.succession = new Succession({
      openPorts: () => this.#openPorts(),
      closePorts: () => this.#closePorts(),
      give: () => this.#give(),
      takeBack: () => this.#takeBack(),
      drain: () => this.#drain(),
      successorGone: () => this.#link?.successorGone(),
    });
  }

  /** Another process keeps the books. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Resolves when what ran here has ended after another process has taken over. */
  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  get remnants(): Remnants {
    return this.#remnants!;
  }

  /** Why nothing can be handed over now; null: it can. */
  get obstacle(): string | null {
    if (!canShare()) return "this system does not let two processes share a port for a moment";
    if (this.succession.going) return "another process is taking over already";
    const books = this.#parts.books.movable;
    if (books === null) return "another process keeps the books";
    const fault = books.ledger.health().fault ?? books.sink.health().fault?.message ?? null;
    return fault === null ? null : `the books can't be put down now: ${fault}`;
  }

  /** The books are here. */
  keep(sessions: Handed["sessions"] = []): void {
    const { books, remnants, report } = this.#parts;
    this.#remnants = new Remnants({
      ...remnants,
      report,
      ledger: books.movable!.ledger,
      sink: books.sink,
    });
    this.#remnants.announce(sessions);
  }

  /** New connections come here from now on; the process before leaves the port a moment later. */
  steerHere(): void {
    for (const port of this.#ports()) port.shared.steer(1);
    this.#settling = wait(3 * acceptedWithinMs, never).then(() => this.#closePorts());
  }

  /** Until then they go on to the process before. */
  static steerToBefore(listeners: readonly Listener[]): void {
    for (const { bound } of listeners) if (bound !== null) SharedPort.find(bound)?.steer(0);
  }

  /** Until the port is this process's alone. */
  settled(): Promise<void> {
    return this.#settling;
  }

  /** Nothing more is taken here; what runs may finish for so long, here and in the processes before. */
  async stopRemnants(graceMs: number): Promise<void> {
    this.#stopping = true;
    const remnants = this.#remnants;
    if (remnants === null || remnants.size === 0) return;
    remnants.stopping(graceMs);
    await Promise.race([remnants.gone(), wait(graceMs + 2_000, never)]);
  }

  /** All that ran here has ended. */
  async leave(): Promise<void> {
    await Promise.race([this.#parts.books.errands.told(), this.#ended.promise]);
    this.#link?.leave();
  }

  /** Resolves when the process that keeps the books is gone. */
  async keeperGone(): Promise<void> {
    const keeper = this.#link?.keeper ?? null;
    await this.#following;
    // Its connections end before its books are closed.
    if (keeper === null) return;
    for (let alive = isAlive(keeper); alive; alive = isAlive(keeper)) await wait(drainedEveryMs, never);
  }

  #following: Promise<void> = Promise.resolve();

  #ports(): { readonly shared: SharedPort; readonly listener: Listener }[] {
    return this.#parts.listeners().flatMap((listener) => {
      const shared = listener.bound === null ? null : SharedPort.find(listener.bound);
      return shared === null ? [] : [{ shared, listener }];
    });
  }

  #openPorts(): Greeting {
    const why = this.obstacle;
    if (why !== null) throw new Error(why);
    for (const { shared, listener } of this.#ports()) {
      if (!shared.open()) throw new Error(`the system does not let ${listener.url} be shared`);
    }
    const places = this.#parts.listeners().map(({ address, bound }): Place => {
      const { text, socketPath } = address;
      return bound === null ? { text, socketPath: socketPath! } : { text, ...bound };
    });
    return {
      version: handoverVersion,
      pid: process.pid,
      places,
      source: this.#parts.source(),
      buckets: this.#parts.buckets(),
    };
  }

  #closePorts(): void {
    for (const { shared, listener } of this.#ports()) {
      shared.spread();
      shared.close(listener.bound!);
    }
  }

  async #give(): Promise<Handed> {
    const { books, runTokens, onGive } = this.#parts;
    onGive();
    const remnants = this.#remnants!;
    const before = await remnants.leave();
    try {
      const { own, others } = await books.give(before);
      this.#session = own.id;
      this.#others = others;
      return { sessions: [own, ...others], runTokens: runTokens.lent() };
    } catch (error) {
      remnants.stay();
      throw error;
    }
  }

  /** The successor has failed before it served. */
  async #takeBack(): Promise<void> {
    const { report } = this.#parts;
    if (await this.#reopen()) {
      report("the books are back; this process goes on");
      return;
    }
    report("the books could not be opened again: nothing can be served; start the gateway anew");
  }

  async #reopen(): Promise<boolean> {
    for (let left = returnTries; left > 0; left--) {
      if (this.#reopenNow()) return true;
      await wait(returnEveryMs, never);
    }
    return false;
  }

  /** False: somebody else has the books, or they can't be opened. */
  #reopenNow(): boolean {
    const { books, remnants, report } = this.#parts;
    const before = this.#remnants;
    try {
      for (const facts of books.takeBack(this.#others)) {
        remnants.tally.opened();
        remnants.tally.closed(facts);
      }
    } catch (error) {
      if (!isTaken(error)) {
        report(`the books can't be opened: ${error instanceof Error ? error.message : String(error)}`);
      }
      return false;
    }
    // Those from before come again: they find out here that the books have not moved.
    this.keep(this.#others);
    before?.moved();
    return true;
  }

  #drain(): Promise<boolean> {
    const { report, onDrain, socketPath, books, onStopping } = this.#parts;
    this.#draining = true;
    // They are the successor's from now on, and unknown here should the books come back.
    this.#others = [];
    this.#remnants?.moved();
    report(`process ${this.succession.successor} has taken over; ${this.#parts.inFlight()} requests finish here`);
    const leaving = wait(acceptedWithinMs, never).then(() => {
      if (this.#draining) for (const listener of this.#parts.listeners()) listener.leave();
    });
    this.#link = new KeeperLink({
      socketPath,
      session: this.#session,
      errands: books.errands,
      onStopping: (graceMs) => {
        this.#stopping = true;
        onStopping(graceMs);
      },
      wait: (ms) => wait(ms, never),
    });
    const attached = this.#link.attach();
    // From then on the admin socket's name is the other one's: who is sent there finds it.
    void attached.then((known) => known && onDrain());
    this.#following = this.#follow(this.#link, attached);
    void leaving.then(() => this.#untilDrained());
    return attached;
  }

  async #follow(link: KeeperLink, attached: Promise<boolean>): Promise<void> {
    if (await attached) {
      const look = setInterval(() => this.#parts.books.errands.look(), lookEveryMs);
      await link.untilLost();
      clearInterval(look);
    }
    if (this.#stopping || link.left) return;
    await this.#return(link);
  }

  /** Nobody keeps the books: the process that had taken over is gone. */
  async #return(link: KeeperLink): Promise<void> {
    const { report, onReturn, books } = this.#parts;
    report("the process that had taken over is gone; this one takes the books back");
    for (let left = returnTries; left > 0; left--) {
      if (this.#reopenNow()) {
        this.#draining = false;
        this.succession.reset();
        await onReturn();
        return;
      }
      // Another one may have them, and know of this one.
      if (await link.attach(returnEveryMs)) return this.#follow(link, Promise.resolve(true));
    }
    // Somebody was started anew meanwhile, and has closed what runs here as after a crash. Its answers still end.
    report("another process has the books and knows nothing of this one; running requests finish here");
    books.giveUp();
  }

  async #untilDrained(): Promise<void> {
    for (let quietMs = 0; quietMs < lingerMs && this.#draining; quietMs += drainedEveryMs) {
      await wait(drainedEveryMs, never);
      if (this.#parts.inFlight() > 0) quietMs = 0;
      // A gateway that stops waits for nobody's next request.
      else if (this.#stopping) break;
    }
    if (!this.#draining) return;
    for (const listener of this.#parts.listeners()) listener.closeIdle();
    await this.leave();
    this.#ended.resolve(this.#stopping ? "stopped" : "replaced");
  }
}
