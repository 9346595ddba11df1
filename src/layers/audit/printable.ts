// What a client chose (a model name, a path) may hold escape sequences that move a terminal's cursor or recolour it.

// Controls, format and direction marks, line separators, lone surrogates, private use.
const dangerous = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** For a terminal: every character that could do more than show itself is written as \uXXXX. */
export function printable(text: string): string {
  return text.replace(dangerous, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`);
}
