// A child process that prints a secret: what it prints is bounded and wiped, and it ends with all of its own children.

/** A key, or some, with room to spare. */
export const MAX_OUTPUT_BYTES = 8_192;

/** False: it ended by itself in this moment. */
export function killGroup(pid: number): boolean {
  try {
    return process.kill(-pid, "SIGKILL");
  } catch {
    return false;
  }
}

interface Output {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

/** All of it; `tooMuch` is called where it is longer, and what came is wiped. The caller wipes what is returned. */
export async function readAtMost(output: Output, tooMuch: () => void): Promise<Uint8Array> {
  const bytes = new Uint8Array(MAX_OUTPUT_BYTES);
  let length = 0;
  for (;;) {
    const { done, value } = await output.read();
    if (done || value === undefined) break;
    const fits = length + value.length <= MAX_OUTPUT_BYTES;
    if (fits) bytes.set(value, length);
    length += value.length;
    value.fill(0);
    if (fits) continue;
    tooMuch();
    length = 0;
    break;
  }
  const result = bytes.slice(0, length);
  bytes.fill(0);
  return result;
}
