// A local model server as its kind behaves: what it lists, how it shows that it loads, what it does with an answer that was
// begun. Over a real socket; what it is doing now is set by the test.

import type { Server } from "bun";
import { objectOf, objectsOf, textOf } from "./json-access.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";

export type LocalKind = "ollama" | "llamacpp" | "vllm" | "lmstudio";

/** `flags`: only where its two flags ask for it. `implicit`: whenever the last message is the assistant's. */
export type Continuing = "flags" | "implicit" | "never";

export interface LocalServerState {
  models: readonly string[];
  /** In memory. Of llama-server and vLLM that is what they list. */
  loaded: readonly string[];
  loading: boolean;
  continuing: Continuing;
  /** The answer begins with what it was given. */
  echoes: boolean;
  /** The template opens a thought unless it is told not to: llama-server then refuses a begun answer. */
  thinks: boolean;
  slots: number;
  version: string;
  /** Waits before each answer of the model. */
  before: () => Promise<void>;
}

/** What it says to the half sentence of the probe, or to anything else. */
const rest = " five, ";
const anew = "One, two, three, four, five, ";

export class LocalServer implements AsyncDisposable {
  readonly kind: LocalKind;
  readonly state: LocalServerState;
  /** `GET /v1/models`, in order. */
  readonly requests: string[] = [];
  /** Bodies of the requests for an answer. */
  readonly chats: JsonObject[] = [];
  readonly #port: number;
  #server: Server<undefined> | null;

  private constructor(kind: LocalKind, state: Partial<LocalServerState>) {
    this.kind = kind;
    this.state = {
      models: ["m"],
      loaded: ["m"],
      loading: false,
      continuing: "never",
      echoes: false,
      thinks: false,
      slots: 1,
      version: "1.0",
      before: async () => undefined,
      ...state,
    };
    this.#server = this.#serve(0);
    this.#port = this.#server.port!;
  }

  static start(kind: LocalKind, state: Partial<LocalServerState> = {}): LocalServer {
    return new LocalServer(kind, state);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  /** As a crash leaves it: nobody listens. */
  async stop(): Promise<void> {
    await this.#server?.stop(true);
    this.#server = null;
  }

  /** Again on the same port. */
  restart(): void {
    this.#server = this.#serve(this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #serve(port: number): Server<undefined> {
    return Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 0, fetch: async (request) => this.#answer(request) });
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    this.requests.push(`${request.method} ${pathname}`);
    const { state, kind } = this;
    if (pathname === "/v1/models") return this.#list();
    if (kind === "llamacpp" && state.loading) return loadingAnswer();
    if (pathname === "/v1/chat/completions") return this.#chat((await request.json()) as JsonObject);
    const told = this.#own(pathname);
    return told === undefined ? new Response("404 page not found", { status: 404 }) : Response.json(told);
  }

  /** llama-server lists its model while it loads it, too. */
  #list(): Response {
    const owners = { ollama: "library", llamacpp: "llamacpp", vllm: "vllm", lmstudio: "organization_owner" };
    const data = this.state.models.map((id) => ({ id, object: "model", created: 1, owned_by: owners[this.kind] }));
    return Response.json({ object: "list", data });
  }

  #own(path: string): object | undefined {
    const { state } = this;
    switch (`${this.kind} ${path}`) {
      case "ollama /api/ps":
        return { models: state.loaded.map((name) => ({ name, model: name, digest: `d-${name}` })) };
      case "ollama /api/version":
      case "vllm /version":
        return { version: state.version };
      case "llamacpp /health":
        return { status: "ok" };
      case "llamacpp /props":
        return { total_slots: state.slots, build_info: state.version, default_generation_settings: { n_ctx: 4096 } };
      case "lmstudio /api/v0/models":
        return {
          data: state.models.map((id) => ({
            id,
            type: "llm",
            quantization: "Q4_K_M",
            state: state.loaded.includes(id) ? "loaded" : "not-loaded",
          })),
        };
      default:
        return undefined;
    }
  }

  async #chat(body: JsonObject): Promise<Response> {
    this.chats.push(body);
    const { state, kind } = this;
    const model = textOf(body["model"]);
    const refusal = this.#refusal(body, model);
    if (refusal !== null) return refusal;
    await state.before();
    if (!state.loaded.includes(model)) state.loaded = [...state.loaded, model];
    const begun = begunIn(body);
    const goesOn = begun !== null && this.#continues(body);
    const content = goesOn ? (state.echoes ? begun : "") + rest : anew;
    const message = { role: "assistant", content: `${content}six, seven` };
    if (body["stream"] === true) return streamed(message.content, model);
    return Response.json({
      id: `chat-${kind}`,
      object: "chat.completion",
      created: 1,
      model,
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage: { prompt_tokens: 30, completion_tokens: 6, total_tokens: 36 },
    });
  }

  #refusal(body: JsonObject, model: string): Response | null {
    const { state, kind } = this;
    const named = state.models.includes(model) || state.models.includes(`${model}:latest`);
    if (!named && kind !== "llamacpp") return failure(404, "not_found_error", `model '${model}' not found`);
    const flagged = body["continue_final_message"] === true;
    // Both servers check that the two do not contradict each other.
    if (flagged && state.continuing === "flags" && body["add_generation_prompt"] !== false) {
      return failure(400, "invalid_request_error", "Cannot set both add_generation_prompt and continue_final_message");
    }
    const quiet = objectOf(body["chat_template_kwargs"])?.["enable_thinking"] === false;
    if (kind === "llamacpp" && state.thinks && !quiet && begunIn(body) !== null) {
      return failure(400, "invalid_request_error", "Assistant response prefill is incompatible with enable_thinking.");
    }
    return null;
  }

  #continues(body: JsonObject): boolean {
    const { continuing } = this.state;
    return continuing === "implicit" || (continuing === "flags" && body["continue_final_message"] === true);
  }
}

function streamed(content: string, model: string): Response {
  const head = { id: "chat-1", object: "chat.completion.chunk", created: 1, model };
  const chunks = [
    { ...head, choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }] },
    { ...head, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    { ...head, choices: [], usage: { prompt_tokens: 30, completion_tokens: 6, total_tokens: 36 } },
  ];
  const text = [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

/** llama.cpp tools/server/README.md, "GET /health". */
export function loadingAnswer(): Response {
  return failure(503, "unavailable_error", "Loading model");
}

function failure(code: number, type: string, message: string): Response {
  return Response.json({ error: { code, message, type } }, { status: code });
}

function begunIn(body: JsonObject): string | null {
  const last = objectsOf(body["messages"]).at(-1);
  return last?.["role"] === "assistant" ? textOf(last["content"]) : null;
}
