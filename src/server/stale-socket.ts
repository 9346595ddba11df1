import { lstatSync, rmSync } from "node:fs";

/**
 * Removes a socket that a killed process left behind, which would keep the next one from listening. One that somebody
 * answers on, and anything that is no socket, stays: then listening says what is in the way.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  if (!(await answers(path))) rmSync(path, { force: true });
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch {
    // Refused: nobody listens any more.
    return false;
  }
}
