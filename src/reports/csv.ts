// Comma-separated values as spreadsheets and consoles write them (RFC 4180): quoted fields, either line end, a byte order
// mark, and semicolons or tabs where a locale prefers them.

/** The rows as records by the names in the first one; blanks around names and values are dropped. */
export function parseCsv(text: string): {
  readonly columns: readonly string[];
  readonly rows: readonly Record<string, string>[];
} {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  const lines = fieldsOf(body, delimiterOf(body));
  const columns = (lines[0] ?? []).map((name) => name.trim());
  const rows = lines
    .slice(1)
    .filter((fields) => fields.some((field) => field.trim() !== ""))
    .map((fields) => Object.fromEntries(columns.map((name, i) => [name, (fields[i] ?? "").trim()])));
  return { columns, rows };
}

/** The one that the first line has most of. */
function delimiterOf(text: string): string {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const times = (mark: string): number => first.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (times(mark) > times(best) ? mark : best));
}

function fieldsOf(text: string, delimiter: string): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  let at = 0;
  const next = new RegExp(`[${delimiter === "\t" ? "\\t" : delimiter}\r\n]`, "g");
  while (at <= text.length) {
    let field: string;
    if (text[at] === '"') {
      const end = closingQuote(text, at + 1);
      field = text.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
    } else {
      next.lastIndex = at;
      const end = next.exec(text)?.index ?? text.length;
      field = text.slice(at, end);
      at = end;
    }
    fields.push(field);
    const mark = text[at];
    if (mark === delimiter) at++;
    else {
      lines.push(fields);
      fields = [];
      if (mark === undefined) break;
      at += mark === "\r" && text[at + 1] === "\n" ? 2 : 1;
    }
  }
  return lines;
}

/** Of a field that never ends, the end of the text. */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return text.length;
}
