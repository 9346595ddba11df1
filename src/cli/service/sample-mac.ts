// A Mac for tests: dscl(1) and launchctl(1) answer with the exit codes and the words of the real ones, and remember what
// they did.

import { dirname } from "node:path";
import type { Ran, System } from "./system.ts";

const done: Ran = { code: 0, out: "", err: "" };

export class SampleMac implements System {
  readonly platform = "darwin";
  uid = 0;
  readonly homeFolder = "/u/x";
  readonly env: Record<string, string> = {};
  readonly files = new Map<string, string>();
  readonly ran: string[] = [];
  /** By path, e.g. `/Users/_daemon`. */
  readonly records = new Map<string, Map<string, string>>([
    ["/Users/_daemon", new Map([["UniqueID", "0"]])],
    ["/Users/_other", new Map([["UniqueID", "400"]])],
    ["/Groups/_another", new Map([["PrimaryGroupID", "401"]])],
  ]);
  /** How often `bootstrap` is refused while the one before still stops. */
  stopping = 0;
  #loaded: string | null = null;

  async run(argv: readonly string[]): Promise<Ran> {
    this.ran.push(argv.join(" "));
    if (argv[0] === "dscl") return this.#dscl(argv.slice(2));
    if (argv[0] === "launchctl") return this.#launchctl(argv.slice(1));
    if (argv[0] === "install" && argv[1] !== "-d") this.files.set(argv.at(-1)!, "program");
    if (argv[0] === "mv") this.files.set(argv[3]!, this.files.get(argv[2]!)!);
    return done;
  }

  #dscl([verb, path, key, value]: readonly string[]): Ran {
    const record = this.records.get(path!);
    const unknown: Ran = {
      code: 56,
      out: "",
      err: "<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)\n",
    };
    switch (verb ?? "") {
      case "-create": {
        const made = record ?? new Map<string, string>();
        this.records.set(path!, made);
        if (key !== undefined) made.set(key, value!);
        return done;
      }
      case "-delete":
        return this.records.delete(path!) ? done : unknown;
      case "-read":
        return record === undefined ? unknown : { ...done, out: `${key}: ${record.get(key!)}\n` };
      default: {
        const rows = [...this.records].filter(([name]) => dirname(name) === path);
        const lines = rows.map(([name, values]) => `${name.split("/").at(-1)!.padEnd(20)}${values.get(key!) ?? ""}`);
        return { ...done, out: `${lines.join("\n")}\n` };
      }
    }
  }

  #launchctl([verb, ...words]: readonly string[]): Ran {
    switch (verb ?? "") {
      case "bootout":
        if (this.#loaded === null) return { code: 3, out: "", err: "Boot-out failed: 3: No such process\n" };
        this.#loaded = null;
        return done;
      case "bootstrap":
        if (this.stopping > 0 || this.#loaded !== null) {
          this.stopping--;
          return { code: 5, out: "", err: "Bootstrap failed: 5: Input/output error\n" };
        }
        this.#loaded = this.files.get(words[1]!) ?? null;
        return done;
      case "print":
        if (this.#loaded !== null)
          return { ...done, out: "{\n\tstate = running\n\tpid = 7\n\tlast exit code = (never exited)\n}\n" };
        return { code: 113, out: "", err: 'Could not find service "local.sanctum-proxy" in domain for system\n' };
      default:
        return done;
    }
  }

  exists(path: string): boolean {
    return [...this.files.keys()].some((file) => file === path || file.startsWith(`${path}/`));
  }

  read(path: string): string | null {
    return this.files.get(path) ?? null;
  }

  write(path: string, text: string): void {
    this.files.set(path, text);
  }

  remove(path: string): void {
    for (const file of this.files.keys()) if (file === path || file.startsWith(`${path}/`)) this.files.delete(file);
  }

  async answers(home: string): Promise<boolean> {
    return this.#loaded?.includes(home) === true;
  }

  async wait(): Promise<void> {}
}
