// Local model servers on their usual ports become providers by themselves.

export interface Offer {
  readonly model: string;
  /** Context window in tokens as the server says; undefined: it does not. */
  readonly context: number | undefined;
}

export interface LocalServer {
  readonly name: string;
  /** Base URL, ends in `/v1`. */
  readonly url: string;
}

/** The ports that the servers use when nobody changes them. */
export const usualServers: readonly LocalServer[] = [
  { name: "ollama", url: "http://127.0.0.1:11434/v1" },
  { name: "lmstudio", url: "http://127.0.0.1:1234/v1" },
  { name: "llamacpp", url: "http://127.0.0.1:8080/v1" },
  { name: "vllm", url: "http://127.0.0.1:8000/v1" },
  { name: "mlx", url: "http://127.0.0.1:8081/v1" },
];

const probeMs = 1_000;
const maxListBytes = 1024 * 1024;
const maxModels = 200;

/** The models that a server offers, or null where none answers there like a model server. Never throws. */
export async function askModels(url: string): Promise<readonly Offer[] | null> {
  try {
    const response = await fetch(`${url}/models`, {
      redirect: "manual",
      signal: AbortSignal.timeout(probeMs),
      headers: { accept: "application/json", "accept-encoding": "identity" },
    });
    if (response.status !== 200 || response.body === null) return null;
    const text = await readList(response.body);
    return text === null ? null : offersOf(JSON.parse(text) as unknown);
  } catch {
    // Nobody listens, or not a model server: both mean "not here".
    return null;
  }
}

/** Null: it is longer than any list. Whatever listens on a usual port must not fill our memory. */
async function readList(body: ReadableStream<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxListBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString("utf8");
}

function offersOf(answer: unknown): readonly Offer[] | null {
  if (!isRecord(answer) || !Array.isArray(answer["data"])) return null;
  const offers: Offer[] = [];
  for (const item of answer["data"].slice(0, maxModels) as unknown[]) {
    if (!isRecord(item) || typeof item["id"] !== "string" || !/^[\x21-\x7e]{1,200}$/.test(item["id"])) continue;
    // Embedding models can't answer a chat.
    if (/embed|rerank|whisper/i.test(item["id"])) continue;
    offers.push({ model: item["id"], context: contextOf(item) });
  }
  return offers;
}

/** vLLM says `max_model_len`, LM Studio `max_context_length`, llama.cpp `meta.n_ctx`. */
function contextOf(item: Readonly<Record<string, unknown>>): number | undefined {
  const meta = isRecord(item["meta"]) ? item["meta"] : {};
  for (const value of [
    item["max_model_len"],
    item["loaded_context_length"],
    item["max_context_length"],
    meta["n_ctx"],
  ]) {
    if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  }
  return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
