// How the pages of the reference are put together.

/** First line of every page, so that nobody edits one by hand. */
const notice = "<!-- Made by `npm run generate`. Change the source, not this page. -->";

/** A page from its blocks, a blank line between them. */
export function page(title: string, ...blocks: readonly string[]): string {
  return [notice, `# ${title}`, ...blocks].map((block) => block.trim()).join("\n\n") + "\n";
}

/** A Markdown table. A cell may hold any text on one line; `|` and line breaks are written so that they stay in their cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
}

export function code(text: string): string {
  return `\`${text}\``;
}

/** `language` is what stands behind the three backticks. */
export function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}

/** Looks a sentence up; throws where a thing that the program has is not described, or a described one is gone. */
export function sentences<T>(about: string, told: Readonly<Record<string, T>>): Lookup<T> {
  const unused = new Set(Object.keys(told));
  return {
    of(name) {
      if (!Object.hasOwn(told, name)) throw new Error(`${about}: nothing is said about ${name}`);
      unused.delete(name);
      return told[name]!;
    },
    end() {
      if (unused.size > 0) throw new Error(`${about}: there is no ${[...unused].join(", ")}`);
    },
  };
}

export interface Lookup<T> {
  of(name: string): T;
  /** Throws where something was told and never looked up. */
  end(): void;
}
