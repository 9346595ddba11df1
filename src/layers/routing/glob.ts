/** A glob as in the configuration: `*` any run of characters, `?` one. Compiled once; matching is linear. */
export function compileGlob(glob: string): (text: string) => boolean {
  if (!/[*?]/.test(glob)) return (text) => text === glob;
  const parts = glob.split("*");
  return (text) => matchParts(parts, text);
}

/** Greedy from both ends, leftmost in between: no backtracking, so no input can make it slow. */
function matchParts(parts: readonly string[], text: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return text.length === first.length && matchesAt(first, text, 0);
  const last = parts[parts.length - 1]!;
  if (text.length < first.length + last.length) return false;
  if (!matchesAt(first, text, 0) || !matchesAt(last, text, text.length - last.length)) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    while (at + part.length <= end && !matchesAt(part, text, at)) at++;
    if (at + part.length > end) return false;
    at += part.length;
  }
  return true;
}

function matchesAt(part: string, text: string, at: number): boolean {
  for (let i = 0; i < part.length; i++) {
    if (part[i] !== "?" && part[i] !== text[at + i]) return false;
  }
  return true;
}
