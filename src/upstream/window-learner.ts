// The window of a model that its server tells only while the model is loaded (Ollama): asked when the first request comes
// that the assumed one would turn away.

import type { Clock } from "../clock.ts";
import type { Candidate } from "../request.ts";
import { askAbilities } from "./abilities.ts";
import { askJson } from "./ask-json.ts";

/** A server that could not tell is not made to load the model again so soon. */
const againAfterMs = 60_000;
/** Names come from clients: what is remembered is bounded. */
const maxRemembered = 200;

export class WindowLearner {
  readonly #clock: Clock;
  readonly #asked = new Map<string, { readonly answer: Promise<number | undefined>; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Has the server load the model and asks for the window that it then runs with, in tokens; undefined where it does not
   * tell, within `first_byte` of the provider. Whoever comes meanwhile waits for the same answer. Never throws.
   */
  async learn(candidate: Candidate): Promise<number | undefined> {
    const key = `${candidate.provider.name}\n${candidate.model}`;
    const now = this.#clock.monotonic();
    const known = this.#asked.get(key);
    if (known !== undefined && now < known.until) return known.answer;
    const answer = ask(candidate);
    this.#asked.delete(key);
    if (this.#asked.size >= maxRemembered) this.#asked.delete(this.#asked.keys().next().value!);
    this.#asked.set(key, { answer, until: now + Math.max(againAfterMs, candidate.provider.timeouts.firstByteMs) });
    return answer;
  }
}

/** Ollama docs/api.md, "Load a model": a generation without a prompt loads it with the settings that hold for all. */
async function ask({ provider, model }: Candidate): Promise<number | undefined> {
  const origin = provider.url.replace(/\/v1$/, "");
  const load = JSON.stringify({ model, stream: false });
  const loaded = await askJson(`${origin}/api/generate`, load, provider.timeouts.firstByteMs);
  if (loaded === undefined) return undefined;
  return (await askAbilities("ollama", provider.url, [model])).get(model)?.context;
}
