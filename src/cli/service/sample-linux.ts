// A Linux machine for tests: its commands answer with the exit codes and the words of useradd(8), getent(1) and systemctl(1),
// and remember what they did.

import type { Ran, System } from "./system.ts";

const done: Ran = { code: 0, out: "", err: "" };

function failed(code: number, err: string): Ran {
  return { code, out: "", err: `${err}\n` };
}

export class SampleLinux implements System {
  readonly platform = "linux";
  uid = 0;
  readonly homeFolder = "/h/x";
  readonly env: Record<string, string> = {};
  readonly files = new Map<string, string>([["/run/systemd/system", ""]]);
  /** Lines of /etc/passwd by name. */
  readonly users = new Map<string, string>();
  readonly ran: string[] = [];
  /** systemd runs a manager for this user. */
  session = true;
  /** What the started gateway does: `runs`, or ends by itself. */
  gateway: "runs" | "fails" = "runs";
  #loaded: string | null = null;
  #enabled = false;
  #active: "active" | "failed" | "inactive" = "inactive";
  /** SANCTUM_HOME of gateways that nobody here started. */
  readonly answering = new Set<string>();

  async run(argv: readonly string[]): Promise<Ran> {
    this.ran.push(argv.join(" "));
    const [program, ...rest] = argv;
    if (program === "getent") {
      const line = this.users.get(rest[1]!);
      return line === undefined ? { ...done, code: 2 } : { ...done, out: `${line}\n` };
    }
    if (program === "useradd") return this.#userAdd(rest);
    if (program === "userdel") {
      return this.users.delete(rest[0]!) ? done : failed(6, `userdel: user '${rest[0]}' does not exist`);
    }
    if (program === "systemctl") return this.#systemctl(rest);
    if (program === "install" && rest[0] !== "-d") this.files.set(rest.at(-1)!, "program");
    if (program === "mv") {
      this.files.set(rest[2]!, this.files.get(rest[1]!)!);
      this.files.delete(rest[1]!);
    }
    if (program === "journalctl") return { ...done, out: "sanctum[7]: config.yaml:1:1 lisen: unknown key\n" };
    return program === "install" || program === "mv" ? done : { ...done, code: 127, err: `${program}: not found` };
  }

  #userAdd(words: readonly string[]): Ran {
    const name = words.at(-1)!;
    if (this.uid !== 0) return failed(1, "useradd: Permission denied.");
    if (this.users.has(name)) return failed(9, `useradd: user '${name}' already exists`);
    const home = words[words.indexOf("--home-dir") + 1]!;
    this.users.set(name, `${name}:x:999:999::${home}:/usr/sbin/nologin`);
    return done;
  }

  #systemctl(words: readonly string[]): Ran {
    const user = words[0] === "--user";
    const [verb, ...rest] = user ? words.slice(1) : words;
    if (user && !this.session) {
      return failed(1, "Failed to connect to user scope bus via local transport: No such file or directory");
    }
    if (!user && this.uid !== 0 && verb !== "show") return failed(4, "Failed to reload daemon: Access denied");
    const file = user ? "/h/x/.config/systemd/user/sanctum.service" : "/etc/systemd/system/sanctum.service";
    const there = this.files.has(file);
    switch (verb ?? "") {
      case "show-environment":
      case "reset-failed":
        return done;
      case "daemon-reload":
        this.#loaded = this.files.get(file) ?? null;
        return done;
      case "enable":
        if (!there) return failed(1, "Failed to enable unit: Unit file sanctum.service does not exist.");
        this.#enabled = true;
        return done;
      case "disable":
        if (!there) return failed(1, "Failed to disable unit: Unit file sanctum.service does not exist.");
        this.#enabled = false;
        this.#active = "inactive";
        return done;
      case "restart":
        if (this.#loaded === null)
          return failed(5, "Failed to restart sanctum.service: Unit sanctum.service not found.");
        this.#active = this.gateway === "runs" ? "active" : "failed";
        return done;
      case "show": {
        const state = [
          `LoadState=${there ? "loaded" : "not-found"}`,
          `ActiveState=${this.#active}`,
          `UnitFileState=${this.#enabled ? "enabled" : ""}`,
          `MainPID=${this.#active === "active" ? 7 : 0}`,
        ];
        return { ...done, out: `${state.join("\n")}\n` };
      }
      default:
        return failed(1, `Unknown command verb ${verb} ${rest.join(" ")}.`);
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
    return this.answering.has(home) || (this.#active === "active" && this.#loaded!.includes(home));
  }

  async wait(): Promise<void> {}
}
