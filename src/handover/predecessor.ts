// The process that is taken over from, as its successor sees it.

import { askSocket, linesOf } from "./line.ts";
import { handoverVersion, type Greeting, type Handed } from "./messages.ts";

export class HandoverRefused extends Error {
  override readonly name = "HandoverRefused";
}

/** There is nobody to take over from. */
export class NobodyRuns extends HandoverRefused {
  constructor() {
    super("no gateway is running that could hand over");
  }
}

export class Predecessor {
  readonly greeting: Greeting;
  readonly #socketPath: string;
  /** Resolves when it is gone. */
  readonly gone: Promise<void>;

  private constructor(socketPath: string, greeting: Greeting, gone: Promise<void>) {
    this.#socketPath = socketPath;
    this.greeting = greeting;
    this.gone = gone;
  }

  /** Throws a HandoverRefused where there is none, or it does not hand over now. */
  static async meet(socketPath: string): Promise<Predecessor> {
    const response = await askSocket(socketPath, `/handover/begin?pid=${process.pid}`);
    if (response === null) throw new NobodyRuns();
    if (!response.ok || response.body === null) {
      throw new HandoverRefused(`the running gateway does not hand over: ${await response.text()}`);
    }
    const lines = linesOf(response.body);
    const first = await lines.next();
    if (first.done === true) throw new HandoverRefused("the running gateway ended");
    const greeting = first.value as Greeting;
    if (greeting.version !== handoverVersion) {
      throw new HandoverRefused("the running gateway is of another version; use `sanctum stop` and `sanctum start`");
    }
    return new Predecessor(
      socketPath,
      greeting,
      lines.next().then(() => undefined),
    );
  }

  /** From here on nobody keeps the books until this process does. */
  async take(): Promise<Handed> {
    const response = await askSocket(this.#socketPath, "/handover/take");
    if (response?.ok !== true) throw new HandoverRefused(await textOf(response));
    return (await response.json()) as Handed;
  }

  /** What opens its vault; the caller wipes the bytes. Null: nothing does, or there is none. */
  async vaultKey(): Promise<{ readonly kind: "passphrase" | "identity"; readonly bytes: Uint8Array } | null> {
    const response = await askSocket(this.#socketPath, "/handover/vault");
    const kind = response?.headers.get("x-vault-key");
    if (response?.ok !== true || (kind !== "passphrase" && kind !== "identity")) return null;
    return { kind, bytes: new Uint8Array(await response.arrayBuffer()) };
  }

  /** This process keeps the books and serves. */
  async done(): Promise<void> {
    const response = await askSocket(this.#socketPath, "/handover/done");
    await response?.body?.cancel();
  }

  /** This process can't; it ends next. The other one goes on. */
  async failed(text: string): Promise<void> {
    const response = await askSocket(this.#socketPath, "/handover/failed", { text });
    await response?.body?.cancel();
  }
}

async function textOf(response: Response | null): Promise<string> {
  return response === null ? "the running gateway ended" : response.text();
}
