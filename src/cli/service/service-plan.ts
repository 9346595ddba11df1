// What systemd and launchd have in common: a service, and the two ways to keep it.

import { join } from "node:path";
import { exitUsage, Refusal } from "../refusal.ts";
import type { Step } from "./step.ts";

/** Where the program comes from that calls us. */
export type OwnProgram =
  /** The one file that `npm run build` makes. */
  | { readonly kind: "file"; readonly path: string }
  /** A folder with the source; `bun` runs it. */
  | { readonly kind: "checkout"; readonly root: string; readonly bun: string };

/** The gateway as a service of the user who calls: the same user as his agents. */
export interface SameUser {
  readonly mode: "same-user";
  /** SANCTUM_HOME. */
  readonly home: string;
  /** Null: the usual one in `home`. */
  readonly configFile: string | null;
  readonly program: OwnProgram;
}

/** The gateway as a user of its own, which no agent is. */
export interface SeparateUser {
  readonly mode: "separate-user";
  readonly user: string;
  readonly program: OwnProgram;
}

/** A service that `install` has made, as its definition tells. */
export interface InstalledService {
  readonly mode: "same-user" | "separate-user";
  /** The unit or property list. */
  readonly file: string;
  /** Null: the user who has installed it. */
  readonly user: string | null;
  /** SANCTUM_HOME. */
  readonly home: string;
  /** The command that it runs. */
  readonly command: string;
}

export interface ServiceState {
  readonly state: "running" | "stopped" | "failed" | "starting" | "unknown";
  /** Starts by itself. */
  readonly enabled: boolean;
  readonly pid: number | null;
}

/** Where a system service's program lies: nobody but root can write there, on Linux as on macOS. */
export const programFolder = "/opt/sanctum";
export const installedProgram = `${programFolder}/bin/sanctum`;

/** The first line of what we write. A file without it is somebody else's and stays. */
export const madeBy = "Made by `sanctum service install`";

/** The home folder of the service's user. */
export function userHome(user: string): string {
  return `/var/lib/${user}`;
}

/** SANCTUM_HOME of the service's user: where it is for every user, so that his commands need no setting. */
export function gatewayHome(user: string): string {
  return join(userHome(user), ".sanctum");
}

/** What useradd(8) and macOS take, and what needs no quotes anywhere. Throws a Refusal. */
export function parseUser(name: string): string {
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(name)) {
    throw new Refusal(exitUsage, "--user: a name has a-z, 0-9, - and _, and begins with a letter or _, e.g. sanctum");
  }
  if (name === "root") throw new Refusal(exitUsage, "--user: not root, whose service could do anything; e.g. sanctum");
  return name;
}

/** Puts the one-file program in its place. A running gateway goes on with the old one until it is started anew. */
export function programSteps(program: OwnProgram): Step[] {
  const fresh = `${installedProgram}.new`;
  const make: Step =
    program.kind === "file"
      ? {
          does: "run",
          why: "copy the program to where only root can write",
          argv: ["install", "-m", "0755", program.path, fresh],
        }
      : {
          does: "run",
          why: "build the program as one file where only root can write",
          argv: [program.bun, "--no-env-file", "--config=/dev/null", join(program.root, "scripts/build.ts"), fresh],
        };
  return [
    {
      does: "run",
      why: "make the program's folder",
      argv: ["install", "-d", "-m", "0755", programFolder, `${programFolder}/bin`],
    },
    // Already there: the service's own program installs it anew, e.g. to change the unit.
    ...(program.kind === "file" && program.path === installedProgram
      ? []
      : [make, { does: "run", why: "put it in its place", argv: ["mv", "-f", fresh, installedProgram] } as const]),
  ];
}

/** The command of a service of the same user. It follows its program: a changed checkout counts from the next start on. */
export function ownCommand({ program, configFile }: SameUser): string[] {
  const words = program.kind === "file" ? [program.path] : ["/bin/sh", join(program.root, "bin/sanctum")];
  return [...words, "start", ...(configFile === null ? [] : ["--config", configFile])];
}
