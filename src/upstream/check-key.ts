// Is a key any good? Asked of its provider in a way that costs nothing, by the rules of every other call: the provider's own
// address, certificates, headers and deadlines, no redirect. Of the answer its status counts, and how its text begins.

import { AttemptError } from "../errors.ts";
import type { KeyVerdict } from "../key-verdict.ts";
import { LentKey } from "../lent-key.ts";
import type { Provider } from "../request.ts";
import type { Secret } from "../secret.ts";
import { Deadline } from "./deadline.ts";
import type { Dispatcher } from "./dispatch.ts";
import { connectionRefused } from "./not-connected.ts";
import { keyEndpointOf } from "./endpoint.ts";
import { upstreamHeaders } from "./headers.ts";
import { profileOf } from "./profile.ts";

/** A person waits for the verdict. */
const patienceMs = 10_000;
/** Enough of an error to see what it is about. */
const maxBytes = 16 * 1024;

/** Vendors that answer nobody here without a key of theirs. Of others it is not known, so they are asked once without. */
const closedKinds: ReadonlySet<string> = new Set(["anthropic", "openai", "openrouter"]);

interface Answer {
  readonly status: number;
  readonly isJson: boolean;
  /** The beginning of the body. */
  readonly text: string;
}

/** `key` null: the provider takes none, and is only asked whether it answers. Never rejects, unless `signal` aborts. */
export async function checkKeyAt(
  dispatcher: Pick<Dispatcher, "send">,
  provider: Provider,
  key: Secret | null,
  signal: AbortSignal,
): Promise<KeyVerdict> {
  const asked = impatient(provider);
  try {
    const verdict = verdictOf(asked, key !== null, await ask(dispatcher, asked, key, signal));
    if (verdict.result !== "accepted" || key === null || closedKinds.has(profileOf(provider))) return verdict;
    const bare = await ask(dispatcher, asked, null, signal);
    return bare.status === 200 ? unchecked("it answers, but it answers without a key too") : verdict;
  } catch (error) {
    if (error instanceof AttemptError && !signal.aborted) return unchecked(failureText(asked, error));
    throw error;
  }
}

async function ask(
  dispatcher: Pick<Dispatcher, "send">,
  provider: Provider,
  key: Secret | null,
  signal: AbortSignal,
): Promise<Answer> {
  const deadline = new Deadline(signal);
  const url = keyEndpointOf(provider);
  try {
    const response = await dispatcher.send({
      url,
      headers: upstreamHeaders({
        provider,
        url,
        dialect: provider.dialects[0] ?? "chat",
        stream: false,
        key: key === null ? null : new LentKey(key, new URL(provider.url).origin),
        client: null,
      }),
      body: null,
      provider,
      deadline,
    });
    deadline.arm("timeout_first_content", patienceMs);
    return {
      status: response.status,
      isJson: /\bjson\b/i.test(response.headers.get("content-type") ?? ""),
      text: await beginningOf(response.body),
    };
  } finally {
    deadline.close();
    deadline.abort();
  }
}

/** Whatever breaks off has said enough: the status is known. */
async function beginningOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length >= maxBytes) break;
    }
  } catch {
    return text;
  }
  return text.slice(0, maxBytes);
}

function verdictOf({ url }: Provider, keyed: boolean, { status, isJson, text }: Answer): KeyVerdict {
  if (status === 200) {
    if (isJson && /^\s*[{[]/.test(text)) return { result: "accepted", reason: null };
    return unchecked(`${new URL(url).host} answers, but not as such a provider does; is its \`url\` right?`);
  }
  if (status === 401 || status === 403) {
    if (!keyed) return unchecked(`it wants a key (${status}), and its \`key\` is \`none\``);
    // OpenAI knows a restricted key and says what it may not do, with 401.
    if (/missing scopes?\b/i.test(text)) {
      return { result: "accepted", reason: "it may not list models, so what it may do is not known" };
    }
    return { result: "rejected", reason: `the provider answered ${status}` };
  }
  if (status >= 300 && status < 400) return unchecked(`it answered with a redirect (${status}), which is not followed`);
  if (status === 404 || status === 405) return unchecked(`it has no list of models to ask for (${status})`);
  if (status === 429) return unchecked("it is at a limit just now (429)");
  return unchecked(`it answered ${status}`);
}

function failureText({ url, timeouts }: Provider, error: AttemptError): string {
  const { host } = new URL(url);
  if (error.note !== undefined && error.note !== connectionRefused) return `${host}: ${error.note}`;
  if (error.outcome === "timeout_connect") return `no connection to ${host} within ${timeouts.connectMs / 1_000} s`;
  if (error.outcome.startsWith("timeout_")) return `no answer of ${host} within ${timeouts.firstByteMs / 1_000} s`;
  return error.outcome === "connect_failed" ? `no connection to ${host}` : `${host} broke the connection off`;
}

function unchecked(reason: string): KeyVerdict {
  return { result: "unchecked", reason };
}

function impatient(provider: Provider): Provider {
  const { timeouts } = provider;
  return { ...provider, timeouts: { ...timeouts, firstByteMs: Math.min(timeouts.firstByteMs, patienceMs) } };
}
