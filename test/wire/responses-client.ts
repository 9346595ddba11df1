// A Responses client in front of Chat servers: what they get of its requests, and what it gets of their answers.

import { startHouse, type House } from "../fakes/house.ts";
import { objectsOf, parseObject } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { FakeAnswer } from "../fakes/script.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The answer where it is one JSON body. */
  readonly json: JsonObject;
  /** The last request that the local server got. */
  readonly sent: RecordedRequest;
}

export class ResponsesClient implements AsyncDisposable {
  readonly house: House;

  constructor(house: House) {
    this.house = house;
  }

  /** `house-model` is behind a server that takes all of Chat, `plain-model` behind Ollama, `thinker` behind llama.cpp. */
  static async start(): Promise<ResponsesClient> {
    const house = await startHouse({
      config: ({ local }) => ({
        providers: {
          vllm: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" },
          llamacpp: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" },
        },
        models: {
          "house-model": { provider: "vllm", model: "house:7b", context: 1_000_000 },
          "plain-model": { provider: "ollama", model: "plain:7b", context: 1_000_000 },
          thinker: { provider: "llamacpp", model: "thinker:7b", context: 1_000_000 },
        },
      }),
    });
    return new ResponsesClient(house);
  }

  /** `body` over a small request; `answer` is the local server's. */
  async ask(body: JsonObject, answer: FakeAnswer = {}, headers: Record<string, string> = {}): Promise<Asked> {
    const { gateway, local } = this.house;
    local.respond = { answer };
    const response = await fetch(`${gateway.url}/v1/responses`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "house-model", input: "Hi", store: false, ...body }),
    });
    const text = await response.text();
    const sent = local.generations.at(-1);
    if (sent === undefined) throw new Error(`the local server got nothing; the client got ${response.status}: ${text}`);
    const json = body["stream"] === true ? {} : parseObject(text);
    return { status: response.status, headers: response.headers, text, json, sent };
  }

  /** The messages that a conversation becomes. Throws where the server refused them. */
  async messagesFor(input: Json, body: JsonObject = {}): Promise<JsonObject[]> {
    const { status, text, sent } = await this.ask({ ...body, input });
    if (status !== 200) throw new Error(`${status}: ${text} after ${sent.text}`);
    return objectsOf(sent.json()["messages"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.house[Symbol.asyncDispose]();
  }
}

export function message(role: string, text: string): JsonObject {
  const type = role === "assistant" ? "output_text" : "input_text";
  return { type: "message", role, content: [{ type, text }] };
}

export function functionCall(call_id: string, name: string, input: JsonObject): JsonObject {
  return { type: "function_call", id: `fc_${call_id}`, call_id, name, arguments: JSON.stringify(input) };
}

export function functionOutput(call_id: string, output: Json): JsonObject {
  return { type: "function_call_output", call_id, output };
}

export function functionTool(name: string): JsonObject {
  const parameters = { type: "object", properties: { cmd: { type: "string" } } };
  return { type: "function", name, description: `Does ${name}.`, strict: false, parameters };
}
