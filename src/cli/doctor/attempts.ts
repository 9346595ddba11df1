// What a program of the caller can do, found out by trying it in ways that change nothing.

import { accessSync, closeSync, constants, lstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { dirname } from "node:path";

export type Outcome = "possible" | "refused" | "absent";

function outcomeOf(work: () => void): Outcome {
  try {
    work();
    return "possible";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOENT" || code === "ENOTDIR" || code === "ESRCH" ? "absent" : "refused";
  }
}

/** Opens it and reads a byte: the kernel checks some files of /proc only then. */
export function tryRead(path: string): Outcome {
  return outcomeOf(() => {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      readSync(descriptor, new Uint8Array(1), 0, 1, null);
    } finally {
      closeSync(descriptor);
    }
  });
}

/**
 * Opens the memory of a process, for which the kernel asks the same as for a debugger: ptrace(2), "Ptrace access mode
 * checking" (PTRACE_MODE_ATTACH), Yama included. Nothing is read, and the process is not stopped.
 */
export function tryMemory(pid: number): Outcome {
  return outcomeOf(() => closeSync(openSync(`/proc/${pid}/mem`, constants.O_RDONLY)));
}

/** Signal 0 asks for the right to send one, and sends none. */
export function trySignal(pid: number): Outcome {
  return outcomeOf(() => process.kill(pid, 0));
}

/** A file that is not there can be made where its folder can be written. */
export function tryWrite(path: string): Outcome {
  const outcome = outcomeOf(() => accessSync(path, constants.W_OK));
  return outcome === "absent" ? outcomeOf(() => accessSync(dirname(path), constants.W_OK)) : outcome;
}

/** Whether a file, or a folder that it is reached through, can be replaced by another one. */
export function tryReplace(path: string): Outcome {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return outcomeOf(() => void statSync(path));
  }
  if (outcomeOf(() => accessSync(real, constants.W_OK)) === "possible") return "possible";
  for (let entry = real; entry !== dirname(entry); entry = dirname(entry)) {
    if (canReplaceIn(dirname(entry), entry)) return "possible";
  }
  return "refused";
}

/** In a sticky folder, such as /tmp, only the owner of an entry or of the folder can (unlink(2)). */
function canReplaceIn(folder: string, entry: string): boolean {
  if (outcomeOf(() => accessSync(folder, constants.W_OK)) !== "possible") return false;
  const { mode, uid } = statSync(folder);
  const me = process.getuid?.();
  return (mode & 0o1000) === 0 || me === 0 || uid === me || lstatSync(entry).uid === me;
}

/** Opens a Unix socket and says nothing. */
export async function tryConnect(socketPath: string): Promise<Outcome> {
  return await new Promise((resolve) => {
    const socket = createConnection(socketPath);
    const end = (outcome: Outcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once("connect", () => end("possible"));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ENOENT" || error.code === "ECONNREFUSED" ? "absent" : "refused"),
    );
  });
}
