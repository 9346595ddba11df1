// The first step of loading: the text of the file, and what is wrong with the file itself.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

import { say, unsay } from "./fault.ts";
import type { Fault } from "./types.ts";

/** What a file holds, and what about the file itself is wrong. */
export interface ConfigText {
  /** Empty where there is no file. */
  readonly text: string;
  readonly exists: boolean;
  readonly faults: readonly Fault[];
}

/** Bytes; a thousand agents fit in a tenth of it. It bounds what a parser can be made to do. */
const maxBytes = 256 * 1024;

/**
 * The text, and faults of the file: what others may write to must not say which command fetches a key. A symbolic link to
 * a file is followed (dotfile managers and Kubernetes save by swapping one); what it points to is checked.
 */
export function readConfigText(file: string): ConfigText {
  let descriptor: number;
  try {
    // Without blocking: opening a named pipe would wait for its writer.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isCode(error, "ENOENT")) return { text: "", exists: false, faults: [] };
    return refused(file, isCode(error, "ELOOP") ? linkLoop : unreadable);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return refused(file, notAFile);
    if (stat.size > maxBytes) return refused(file, tooLarge);
    const bytes = readFileSync(descriptor);
    if (bytes.length > maxBytes) return refused(file, tooLarge);
    const faults = [...faultsOfPermissions(file, stat.mode, stat.uid)];
    return { ...decode(file, bytes, faults), exists: true };
  } catch {
    // Reading failed half-way; the reason is the system's and changes nothing for the user.
    return refused(file, unreadable);
  } finally {
    closeSync(descriptor);
  }
}

function decode(file: string, bytes: Uint8Array, faults: Fault[]): { text: string; faults: Fault[] } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text, faults };
  } catch {
    // The decoder's only complaint is that it isn't UTF-8.
    return { text: "", faults: [...faults, faultOfFile(file, notUtf8)] };
  }
}

function faultsOfPermissions(file: string, mode: number, owner: number): Fault[] {
  const me = process.getuid?.();
  if (me === undefined) return [];
  const faults: Fault[] = [];
  if ((mode & 0o022) !== 0) faults.push(faultOfFile(file, othersWrite));
  if (owner !== me && owner !== 0) faults.push(faultOfFile(file, otherOwner));
  return faults;
}

const linkLoop = say("is a symbolic link that leads nowhere", "point it to a file");
const unreadable = say("can't be read", "check that the file and its folder are readable by you");
const notAFile = say("is not a regular file", "give the path of a file, or of a link to one");
const tooLarge = say("is larger than 256 KiB", "remove what is not configuration");
const notUtf8 = say("is not UTF-8 text", "save it as UTF-8");
const othersWrite = say(
  "can be written to by others, who could change what you spend and which commands run",
  "run: chmod go-w on the file",
);
const otherOwner = say("belongs to another user", "make it your own: chown");

function refused(file: string, message: string): ConfigText {
  return { text: "", exists: true, faults: [faultOfFile(file, message)] };
}

function faultOfFile(file: string, message: string): Fault {
  return { file, line: 1, column: 1, keyPath: "", ...unsay(message) };
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
