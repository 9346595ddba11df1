// What `sanctum service` touches of the machine. Tests bring a machine of their own.

import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createAdminClient } from "../../admin/admin-client.ts";

/** How a command ended. */
export interface Ran {
  /** 127: there is no such command. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface System {
  readonly platform: NodeJS.Platform;
  /** Who calls. */
  readonly uid: number;
  /** The home folder of the user who calls. */
  readonly homeFolder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs a command without a shell. Never rejects. */
  run(argv: readonly string[]): Promise<Ran>;
  exists(path: string): boolean;
  /** Null: it is not there, or can't be read. */
  read(path: string): string | null;
  /** In one step, so that nobody reads half of it; missing folders are made. Throws the system's error. */
  write(path: string, text: string, mode: number): void;
  /** A file, or a folder with all that is in it; nothing where it is not there. Throws the system's error. */
  remove(path: string): void;
  /** Whether a gateway answers on its socket in this SANCTUM_HOME. */
  answers(home: string): Promise<boolean>;
  wait(ms: number): Promise<void>;
}

/** The machine that this process runs on. */
export function thisSystem(env: System["env"]): System {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    homeFolder: env["HOME"] || homeFolder(),
    env,
    run: runCommand,
    exists: (path) => existsSync(path),
    read(path) {
      try {
        return readFileSync(path, "utf8");
      } catch {
        return null;
      }
    },
    write(path, text, mode) {
      mkdirSync(dirname(path), { recursive: true });
      const fresh = `${path}.new`;
      rmSync(fresh, { force: true });
      writeFileSync(fresh, text, { flag: "wx" });
      // Whatever the umask is: systemd and launchd want to read it.
      chmodSync(fresh, mode);
      renameSync(fresh, path);
    },
    remove: (path) => rmSync(path, { recursive: true, force: true }),
    async answers(home) {
      try {
        await createAdminClient(join(home, "run/admin.sock")).get("/addresses");
        return true;
      } catch {
        return false;
      }
    },
    wait: (ms) => Bun.sleep(ms),
  };
}

/** The runtime throws for a user who is in no list of users. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/nonexistent";
  }
}

async function runCommand(argv: readonly string[]): Promise<Ran> {
  try {
    // The messages of the tools are read by people, and by us in English.
    const env = { ...process.env, LC_ALL: "C" };
    const child = Bun.spawn([...argv], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  } catch {
    return { code: 127, out: "", err: `${argv[0]}: there is no such command` };
  }
}
