// Names of the configuration that mean a model which their local server does not have, and what fetches it.

import type { Provider } from "../request.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";

/** A way to serve a name. */
interface Meant {
  readonly provider: Provider;
  readonly model: string;
}

export interface MissingModel {
  /** As the configuration has it. */
  readonly name: string;
  readonly provider: string;
  readonly model: string;
  /** The model that answers in its place; null: none, so requests go to the next candidate. */
  readonly instead: string | null;
  /** What is missing, and the command that helps. */
  readonly message: string;
}

interface Parts {
  /** Aliases, and the names of `fallback` and of the routes. */
  readonly names: Iterable<string>;
  readonly meaning: (name: string) => readonly Meant[];
  readonly isMissing: (meant: Meant) => boolean;
  /** The one model that the server has for whatever name; undefined: it is the one that is meant, or names count there. */
  readonly instead: (meant: Meant) => string | undefined;
  /** What the server lists; empty: nothing. */
  readonly listed: (provider: string) => readonly string[];
}

export function missingModels({ names, meaning, isMissing, instead, listed }: Parts): MissingModel[] {
  const found = new Map<string, MissingModel>();
  for (const name of names) {
    for (const meant of meaning(name)) {
      const { provider, model } = meant;
      if (!provider.local) continue;
      const other = instead(meant) ?? null;
      if (other === null && !isMissing(meant)) continue;
      const message = `${name}: ${provider.name} has no model ${model}; ${remedyFor(meant, listed(provider.name))}`;
      found.set(name, { name, provider: provider.name, model, instead: other, message });
    }
  }
  return [...found.values()];
}

const mostNamed = 3;

function remedyFor({ provider, model }: Meant, listed: readonly string[]): string {
  const word = shellWord(model);
  const kind = serverKindOf(provider);
  if (kind === "ollama") return `fetch it: \`${elsewhere(provider)}ollama pull ${word}\``;
  // Without "just in time loading" it lists only what is loaded.
  if (kind === "lmstudio") {
    return `fetch it: \`lms get ${word}\`, or, where it is there already, load it: \`lms load ${word}\``;
  }
  if (kind === "llamacpp") return `${serves(listed)}; start it with that one: \`llama-server -m FILE --alias ${word}\``;
  return kind === "vllm" ? `${serves(listed)}; start it with that one: \`vllm serve ${word}\`` : serves(listed);
}

function serves(listed: readonly string[]): string {
  if (listed.length === 0) return "it serves none";
  const more = listed.length > mostNamed ? ` and ${listed.length - mostNamed} more` : "";
  return `it serves ${listed.slice(0, mostNamed).join(", ")}${more}`;
}

/** Ollama's command speaks to the server of its own machine unless it is told another one (ollama: docs/faq.mdx). */
function elsewhere({ url }: Provider): string {
  const { host } = new URL(url);
  return /^(localhost|127\.0\.0\.1|\[::1\]):11434$/.test(host) ? "" : `OLLAMA_HOST=${new URL(url).origin} `;
}

function shellWord(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
