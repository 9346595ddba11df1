// What the kernel tells everybody about processes and sockets. Linux; elsewhere null, which means that it can't be told.

import { readdirSync, readFileSync, statSync } from "node:fs";
import type { System } from "../service/system.ts";

export interface KernelListener {
  /** As it is written in a URL, without brackets. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
}

/** Null: this system does not tell. */
export function listenersOf(): readonly KernelListener[] | null {
  const four = readText("/proc/net/tcp");
  if (four === null) return null;
  return [...parseListeners(four), ...parseListeners(readText("/proc/net/tcp6") ?? "")];
}

/** The listening sockets of /proc/net/tcp or tcp6, proc_pid_net(5). */
export function parseListeners(table: string): KernelListener[] {
  const listening = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ 0A \S+ \S+ \S+\s+(\d+)/gm;
  return [...table.matchAll(listening)].map(([, address, port, uid]) => ({
    address: toAddress(address!),
    port: Number.parseInt(port!, 16),
    uid: Number(uid),
  }));
}

/** 32-bit words in the machine's order, which is little-endian wherever this runs. */
function toAddress(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  bytes.swap32();
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  // The shortest form, as it is usually written.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** The real user of a process; null: there is none such, or it is hidden. */
export function uidOfProcess(pid: number): number | null {
  const uid = /^Uid:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1];
  return uid === undefined ? null : Number(uid);
}

/** A gateway of this user, by its command line; null: none is seen. */
export function findDaemon(uid: number): number | null {
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return null;
  }
  for (const name of names) {
    const words = commandOf(Number(name));
    const ours = /(?:^|\/)sanctum$/.test(words[0] ?? "") || words.some((word) => word.endsWith("/src/main.ts"));
    if (ours && words.includes("start") && uidOfProcess(Number(name)) === uid) return Number(name);
  }
  return null;
}

/**
 * Whether a process has told the kernel to be neither traced nor dumped (see refuse-tracing.ts): its files in /proc are
 * root's then. Of a process of root's it can't be told, and is false.
 */
export function refusesTracing(pid: number): boolean {
  try {
    return uidOfProcess(pid) !== 0 && statSync(`/proc/${pid}/environ`).uid === 0;
  } catch {
    return false;
  }
}

/** The words up to `start`: the runtime and its script, or the program of one file. Empty: it is hidden, or no gateway. */
export function commandOf(pid: number): string[] {
  const words = (readText(`/proc/${pid}/cmdline`) ?? "").split("\0");
  return words.includes("start") ? words.slice(0, words.indexOf("start") + 1) : [];
}

/** A number where the user has no name. */
export async function userNameOf(system: System, uid: number): Promise<string> {
  const argv = system.platform === "darwin" ? ["id", "-nu", String(uid)] : ["getent", "passwd", String(uid)];
  const { code, out } = await system.run(argv);
  const name = out.trim().split(":")[0] ?? "";
  return code === 0 && name !== "" ? name : String(uid);
}

/** Null: there is no such user. */
export async function uidOf(system: System, user: string): Promise<number | null> {
  const { code, out } = await system.run(["id", "-u", user]);
  return code === 0 && /^\d+$/.test(out.trim()) ? Number(out) : null;
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
