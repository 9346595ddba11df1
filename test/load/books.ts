// After the load: trail, ledger and the providers' own accounts, held against each other line by line.

import { createHash } from "node:crypto";
import { createReadStream, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Database } from "bun:sqlite";
import { auditFiles } from "../../src/layers/audit/segments.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { Bill } from "./billing-provider.ts";

export interface BooksInput {
  readonly home: string;
  /** Of the providers that send bills, by the id that their answers carry. */
  readonly bills: ReadonlyMap<string, Bill>;
  /** Ids of the requests whose answers' heads have come to the client. */
  readonly heardIds: ReadonlySet<string>;
  /** Requests sent in all. */
  readonly asked: number;
  /** Of these: hung up before anything had come. */
  readonly leftUnheard: number;
  /** By agent, as `/stats` told at the end, in USD. */
  readonly spentUsd: Readonly<Record<string, number>>;
}

export interface BooksFound {
  /** What is wrong; empty where all accounts agree. The first ones of each kind. */
  readonly faults: readonly string[];
  readonly lines: number;
  readonly files: number;
  readonly bytes: number;
  /** Requests whose client left before the gateway had read them: they have no line. */
  readonly unread: number;
  readonly attempts: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly micros: {
    readonly trail: number;
    readonly ledger: number;
    readonly stats: number;
    /** What the providers bill for all calls. */
    readonly billed: number;
    /** Complete answers, which both sides know exactly. */
    readonly exact: number;
    /** The rest: charged by our count, and what of it the providers bill. */
    readonly countedCharged: number;
    readonly countedBilled: number;
  };
}

/** What the vendor has written and the gateway had not read when a client left: events in flight. */
const inFlightMicros = 8 * 2 * 15;
const mostFaults = 5;

export async function checkBooks(input: BooksInput): Promise<BooksFound> {
  const books = new Books(input);
  const files = auditFiles(join(input.home, "logs", "cloud-proxy-audit.jsonl"));
  for (const file of files) await books.readTrail(file);
  return books.close(files.length, ledgerMicros(input.home));
}

class Books {
  readonly #input: BooksInput;
  readonly #faults = new Map<string, string[]>();
  readonly #attempts: Record<string, number> = {};
  readonly #outcomes: Record<string, number> = {};
  readonly #agents = new Map<string, number>();
  readonly #ids = new Set<string>();
  readonly #matched = new Set<string>();
  #seq = 0;
  #head = `sha256:${"0".repeat(64)}`;
  #bytes = 0;
  #trail = 0;
  #exact = 0;
  #countedCharged = 0;
  #countedBilled = 0;
  /** Attempts that went out and came back without an id of the provider's, by outcome. */
  readonly #nameless: Record<string, number> = {};
  #namelessMicros = 0;

  constructor(input: BooksInput) {
    this.#input = input;
  }

  async readTrail(file: string): Promise<void> {
    const lines = createInterface({ input: createReadStream(file, "latin1"), crlfDelay: Infinity });
    for await (const line of lines) this.#readLine(line);
  }

  #readLine(line: string): void {
    const entry = objectOf(JSON.parse(line) as Json)!;
    this.#bytes += line.length + 1;
    if (entry["seq"] !== ++this.#seq) this.#fault("seq", `line ${this.#seq} has another seq: ${line.slice(0, 40)}`);
    if (entry["prev"] !== this.#head) this.#fault("chain", `line ${this.#seq} does not follow the one before`);
    this.#head = `sha256:${createHash("sha256").update(line, "latin1").digest("hex")}`;
    const id = textOf(entry["id"]);
    if (this.#ids.has(id)) this.#fault("twice", `${id} has two lines`);
    this.#ids.add(id);
    const outcome = textOf(entry["outcome"]);
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
    if (entry["attempts_left_out"] !== undefined) this.#fault("left out", `${id} does not list all attempts`);
    const micros = microsOf(entry["usd"]);
    const agent = textOf(entry["agent"]);
    this.#agents.set(agent, (this.#agents.get(agent) ?? 0) + micros);
    this.#trail += micros;
    const heldMicros = microsOf(entry["held_usd"]);
    let sum = 0;
    const served = textOf(entry["served_by"]);
    const isCounted = textOf(objectOf(entry["usage"])?.["source"]) === "counted";
    for (const attempt of objectsOf(entry["attempts"])) {
      const counted = isCounted && textOf(attempt["candidate"]) === served;
      sum += this.#readAttempt(id, attempt, heldMicros, counted);
    }
    if (sum !== micros) this.#fault("sum", `${id}: ${micros} µ$, its attempts ${sum}`);
  }

  #readAttempt(id: string, attempt: JsonObject, heldMicros: number, isCounted: boolean): number {
    const outcome = textOf(attempt["outcome"]);
    this.#attempts[outcome] = (this.#attempts[outcome] ?? 0) + 1;
    const micros = microsOf(attempt["usd"]);
    const where = `${id} ${textOf(attempt["candidate"])} ${outcome} ${textOf(attempt["upstream_id"])}`;
    const isLocal = textOf(attempt["candidate"]) === "at-home";
    if (outcome.startsWith("skipped_") || outcome === "connect_failed" || isLocal) {
      if (micros !== 0) this.#fault("free", `${where} costs ${micros} µ$`);
      return micros;
    }
    const upstreamId = textOf(attempt["upstream_id"]);
    if (upstreamId === "") {
      this.#nameless[outcome] = (this.#nameless[outcome] ?? 0) + 1;
      this.#namelessMicros += micros;
      return micros;
    }
    const bill = this.#input.bills.get(upstreamId);
    if (bill === undefined) this.#fault("no bill", `${where} is unknown to its provider`);
    else this.#compare(where, isCounted ? `${outcome}, counted` : outcome, micros, bill, heldMicros);
    if (this.#matched.has(upstreamId)) this.#fault("matched twice", where);
    this.#matched.add(upstreamId);
    return micros;
  }

  #compare(where: string, outcome: string, micros: number, bill: Bill, heldMicros: number): void {
    const detail = `${where}: charged ${micros} µ$, billed ${bill.micros} (${bill.end})`;
    if (outcome === "ok" || outcome.startsWith("upstream_")) {
      this.#exact += micros;
      const billed = outcome === "ok" ? bill.fullMicros : bill.micros;
      if (micros !== billed) this.#fault("exact", detail);
      return;
    }
    this.#countedCharged += micros;
    this.#countedBilled += bill.micros;
    if (micros > heldMicros) this.#fault("above the hold", detail);
    const unseenMicros = Math.max(bill.lostMicros, bill.end === "left" ? inFlightMicros : 0);
    if (micros + unseenMicros < bill.micros) this.#fault("below the bill", detail);
  }

  close(files: number, ledger: { readonly micros: number; readonly open: number }): BooksFound {
    const { bills, heardIds, asked, leftUnheard, spentUsd } = this.#input;
    const unread = asked - this.#seq;
    if (unread < 0 || unread > leftUnheard) this.#fault("lines", `${this.#seq} lines for ${asked} requests`);
    for (const id of heardIds) if (!this.#ids.has(id)) this.#fault("no line", `${id} was answered`);
    const nameless = [...bills].filter(([id]) => !this.#matched.has(id)).map(([, bill]) => bill);
    const { client_gone: gone = 0, ...others } = this.#nameless;
    const certain = sum(Object.values(others));
    // Who hangs up before the call has left is charged as if it had: nobody here can know.
    if (nameless.length < certain || nameless.length > certain + gone) {
      const inTrail = JSON.stringify(this.#nameless);
      this.#fault("calls", `${nameless.length} calls without an id at the provider, in the trail ${inTrail}`);
    }
    const namelessBilled = sum(nameless.map(({ micros }) => micros));
    if (this.#namelessMicros < namelessBilled) {
      this.#fault("below the bill", `without an id: ${this.#namelessMicros} µ$ charged, ${namelessBilled} billed`);
    }
    const stats = sum(Object.values(spentUsd).map(microsOf));
    for (const [agent, micros] of this.#agents) {
      const told = microsOf(spentUsd[agent] ?? 0);
      if (told !== micros) this.#fault("stats", `${agent}: /stats says ${told} µ$, the trail ${micros}`);
    }
    if (ledger.micros !== this.#trail) this.#fault("ledger", `${ledger.micros} µ$, the trail ${this.#trail}`);
    if (ledger.open > 0) this.#fault("ledger", `${ledger.open} holds are open`);
    return {
      faults: [...this.#faults.values()].flat(),
      lines: this.#seq,
      files,
      bytes: this.#bytes,
      unread,
      attempts: this.#attempts,
      outcomes: this.#outcomes,
      micros: {
        trail: this.#trail,
        ledger: ledger.micros,
        stats,
        billed: sum([...bills.values()].map(({ micros }) => micros)),
        exact: this.#exact,
        countedCharged: this.#countedCharged + this.#namelessMicros,
        countedBilled: this.#countedBilled + namelessBilled,
      },
    };
  }

  #fault(kind: string, text: string): void {
    const found = this.#faults.get(kind) ?? [];
    if (found.length < mostFaults) found.push(`${kind}: ${text}`);
    else if (found.length === mostFaults) found.push(`${kind}: and more`);
    this.#faults.set(kind, found);
  }
}

/** Read by SQL alone, from a copy, once the gateway has stopped. */
function ledgerMicros(home: string): { readonly micros: number; readonly open: number } {
  const copy = mkdtempSync(join(tmpdir(), "sanctum-books-"));
  try {
    cpSync(join(home, "state"), copy, { recursive: true });
    using db = new Database(join(copy, "ledger.sqlite"));
    const row = db
      .query<{ nanos: number; open: number }, []>(
        `SELECT coalesce((SELECT sum(nanos) FROM ends), 0) + coalesce((SELECT sum(nanos) FROM totals), 0) AS nanos,
           (SELECT count(*) FROM holds WHERE id NOT IN (SELECT hold FROM ends)) AS open`,
      )
      .get()!;
    return { micros: row.nanos / 1_000, open: row.open };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function microsOf(usd: unknown): number {
  return Math.round(Number(usd) * 1e6);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
