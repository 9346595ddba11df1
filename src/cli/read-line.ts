import type { KeyInput } from "./hidden-input.ts";

const maxBytes = 1_000;

/** Asks on the terminal and shows what is typed. Null: the person gave up (Ctrl-D on an empty line). */
export async function readLine(input: KeyInput, ask: () => void): Promise<string | null> {
  ask();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of input) {
      text += decoder.decode(chunk, { stream: true });
      const end = text.search(/[\r\n]/);
      if (end >= 0) return text.slice(0, end);
      if (text.length > maxBytes) return text.slice(0, maxBytes);
    }
    return text === "" ? null : text;
  } finally {
    input.pause?.();
  }
}
