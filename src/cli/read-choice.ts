import type { KeyInput } from "./hidden-input.ts";

/**
 * Asks for one of the letters in `choices` by a single key, and shows the word that it stands for. Null: Enter, Escape, Ctrl-C,
 * or the input's end. Any other key is passed over.
 */
export async function readChoice<Letter extends string>(
  input: KeyInput,
  say: (text: string) => void,
  question: string,
  choices: Readonly<Record<Letter, string>>,
): Promise<Letter | null> {
  input.setRawMode?.(true);
  say(question);
  let choice: Letter | null = null;
  try {
    choice = await firstOf(input, choices);
  } finally {
    input.setRawMode?.(false);
    input.pause?.();
    say(choice === null ? "\n" : `${choices[choice]}\n`);
  }
  return choice;
}

async function firstOf<Letter extends string>(
  input: KeyInput,
  choices: Readonly<Record<Letter, string>>,
): Promise<Letter | null> {
  for await (const chunk of input) {
    for (const byte of chunk) {
      // Ctrl-C, Ctrl-D, both ends of a line, Escape.
      if ([0x03, 0x04, 0x0a, 0x0d, 0x1b].includes(byte)) return null;
      const letter = String.fromCharCode(byte).toLowerCase();
      if (Object.hasOwn(choices, letter)) return letter as Letter;
    }
  }
  return null;
}
