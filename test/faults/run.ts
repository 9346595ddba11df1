// Runs cells against real gateways: one process for as many as its configuration holds, many at a time.

import { merge, baseConfig, routeOf, type TestDialect } from "../fakes/house.ts";
import { FakeProvider, type RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { startGateway, type AuditLine, type Gateway } from "../harness.ts";
import type { Cell, Setting } from "./cells.ts";
import { checkBooks } from "./books.ts";
import { Places } from "./places.ts";
import { Reading } from "./reading.ts";
import { CLOUD_TEXT, INPUT_TOKENS, OUTPUT_TOKENS, UPSTREAM_MODEL } from "./wire.ts";

export const LOCAL_TEXT =
  "Von zu Hause – 家から: der Fuchs 🦊 schläft schon, and nobody in the cloud has seen him today.";
/** What the local model adds to an answer of which no word is missing. */
export const LOCAL_ENDING = " Good night.";

/** USD per million tokens. */
const price = { input: 3, output: 15 };
/** USD of what a provider billed. */
export function billed(share: number): number {
  return (INPUT_TOKENS * price.input + share * OUTPUT_TOKENS * price.output) / 1_000_000;
}

export interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** The connection broke while the answer was read. */
  readonly broken: string | null;
}

export interface Outcome {
  readonly cell: Cell;
  readonly seen: Seen;
  /** Undefined: the trail has none. */
  readonly line: AuditLine | undefined;
}

export interface RunReport {
  readonly outcomes: readonly Outcome[];
  /** What is wrong with the books of a gateway as a whole. */
  readonly faults: readonly string[];
  readonly gateways: number;
}

const atOnce = 64;
/** A configuration has 256 KiB at most; a large one takes its time to be read. */
const roomBytes = 160_000;
/** Five failures in a row shut a provider off for a while: none gets so many. */
const failuresEach = 4;

/** Providers of all kinds, and the local model, for one run after the other. */
export class FaultHouse implements AsyncDisposable {
  readonly #playing: Map<number, Playing>;
  readonly #places: Places;
  readonly #local: FakeProvider;

  private constructor(playing: Map<number, Playing>, places: Places, local: FakeProvider) {
    this.#playing = playing;
    this.#places = places;
    this.#local = local;
  }

  static async start(): Promise<FaultHouse> {
    const playing = new Map<number, Playing>();
    const places = await Places.start({ lenient: true, respond: (request) => stepFor(playing, request) });
    const local = await FakeProvider.start({
      local: true,
      models: ["qwen2.5-coder:14b"],
      lenient: true,
      respond: atHome,
    });
    return new FaultHouse(playing, places, local);
  }

  async run(setting: Setting, cells: readonly Cell[]): Promise<RunReport> {
    return runCells(setting, cells, this.#playing, this.#places, this.#local);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#places[Symbol.asyncDispose]();
    await this.#local[Symbol.asyncDispose]();
  }
}

async function runCells(
  setting: Setting,
  cells: readonly Cell[],
  playing: Map<number, Playing>,
  places: Places,
  local: FakeProvider,
): Promise<RunReport> {
  playing.clear();
  const outcomes: Outcome[] = [];
  const faults: string[] = [];
  const waves = wavesOf(cells, places);
  const runWave = async ({ cells, providers, models }: Wave): Promise<void> => {
    for (const { cell } of cells) playing.set(cell.id, { cell, reading: new Reading(), asked: 0 });
    const config = {
      ...merge(baseConfig("http://127.0.0.1:9", local.url), { providers, models }),
      fallback: setting.behind === "local" ? ["coder-14b"] : [],
      stream: { takeover: setting.takeover, ...(setting.line === "open" && { keep_alive: "30ms" }) },
    };
    await using gateway = await startGateway({ config: JSON.stringify(config) });
    const seen = await askAll(gateway, cells, playing);
    const { lines, told } = await checkBooks(gateway, cells.length);
    faults.push(...told);
    for (const [index, { cell }] of cells.entries()) {
      const id = seen[index]!.headers.get("x-sanctum-request-id") ?? "";
      outcomes.push({ cell, seen: seen[index]!, line: lines.get(id) });
    }
    local.requests.length = 0;
    places.forget();
  };
  for (const wave of waves) await runWave(wave);
  return { outcomes, faults, gateways: waves.length };
}

interface Playing {
  readonly cell: Cell;
  readonly reading: Reading;
  asked: number;
}

function stepFor(playing: ReadonlyMap<number, Playing>, request: RecordedRequest): Step {
  const one = playing.get(Number(/Cell (\d+):/.exec(request.text)?.[1]));
  if (one === undefined) throw new Error(`no such cell: ${request.text}`);
  const { cell, reading } = one;
  one.asked++;
  const { step } = cell.fault;
  if (step !== undefined && (cell.setting.behind !== "itself" || one.asked === 1)) return step(reading);
  return { answer: { text: CLOUD_TEXT, usage: { input: INPUT_TOKENS, output: OUTPUT_TOKENS } } };
}

/** Where a begun answer is to be carried on, what is missing of it; else an answer of its own. */
function atHome(request: RecordedRequest): Step {
  const { messages } = request.json();
  const texts = JSON.stringify(messages ?? []).matchAll(/"(?:content|text)":"((?:[^"\\]|\\.)*)"/g);
  const begun = [...texts]
    .map(([, text]) => JSON.parse(`"${text}"`) as string)
    .find((text) => text.length > 3 && CLOUD_TEXT.startsWith(text));
  const text = begun === undefined ? LOCAL_TEXT : CLOUD_TEXT.slice(begun.length) || LOCAL_ENDING;
  return { answer: { text, usage: { input: 40, output: 30 } } };
}

interface Placed {
  readonly cell: Cell;
  /** What the client asks for. */
  readonly model: string;
}

interface Wave {
  readonly cells: Placed[];
  readonly providers: Record<string, object>;
  readonly models: Record<string, object>;
}

/** Providers are shared by cells that need the same of one, until it has failed as often as it may. */
function wavesOf(cells: readonly Cell[], places: Places): Wave[] {
  const waves: Wave[] = [];
  let bytes = Infinity;
  let open = new Map<string, { name: string; failures: number }>();
  for (const cell of cells) {
    const { place = "scripted", timeouts, fate } = cell.fault;
    const url = places.urlOf(place) + (cell.wire.dialect === "messages" ? "" : "/v1");
    const provider = {
      url,
      dialects: [cell.wire.dialect],
      key: "none",
      ...(cell.setting.behind !== "local" && { retry: { attempts: 2, base: "1ms", max: "2ms" } }),
      ...(timeouts !== undefined && { timeouts }),
      ...places.trusts(place),
    };
    const needs = JSON.stringify(provider);
    if (bytes + needs.length > roomBytes) {
      waves.push({ cells: [], providers: {}, models: {} });
      bytes = 2_000;
      open = new Map();
    }
    const wave = waves.at(-1)!;
    const failures = ["answer", "refusal"].includes(fate.shown) ? 0.2 : (cell.expected.attempts?.length ?? 1);
    let slot = open.get(needs);
    if (slot === undefined || fate.backsOff === true || slot.failures + failures > failuresEach) {
      slot = { name: `p${Object.keys(wave.providers).length}`, failures: 0 };
      open.set(needs, slot);
      wave.providers[slot.name] = provider;
      wave.models[`m-${slot.name}`] = { provider: slot.name, model: UPSTREAM_MODEL, price };
      bytes += needs.length + 150;
    }
    slot.failures += fate.backsOff === true ? failuresEach : failures;
    wave.cells.push({ cell, model: `m-${slot.name}` });
  }
  return waves;
}

async function askAll(gateway: Gateway, cells: readonly Placed[], playing: Map<number, Playing>): Promise<Seen[]> {
  const seen: Seen[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < cells.length) {
      const index = next++;
      const { cell, model } = cells[index]!;
      seen[index] = await ask(gateway, cell, model, playing.get(cell.id)!.reading);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return seen;
}

/** Longer than everything here lasts: who waits so long is left without an answer. */
const patienceMs = 30_000;

async function ask(gateway: Gateway, cell: Cell, model: string, reading: Reading): Promise<Seen> {
  try {
    return await answered(gateway, cell, model, reading);
  } catch (error) {
    reading.end();
    return { status: 0, headers: new Headers(), body: "", broken: String(error) };
  }
}

async function answered(gateway: Gateway, cell: Cell, model: string, reading: Reading): Promise<Seen> {
  const response = await fetch(`${gateway.url}${routeOf[cell.client]}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: question(cell.client, model, cell),
    signal: AbortSignal.timeout(patienceMs),
  });
  const decoder = new TextDecoder();
  let body = "";
  let broken: string | null = null;
  try {
    for await (const bytes of response.body ?? []) {
      const text = decoder.decode(bytes, { stream: true });
      body += text;
      reading.push(text);
    }
  } catch (error) {
    broken = String(error);
  } finally {
    reading.end();
  }
  return { status: response.status, headers: response.headers, body: body + decoder.decode(), broken };
}

function question(dialect: TestDialect, model: string, { id, wire: { stream } }: Cell): string {
  const text = `Cell ${id}: which way did the fox take last night, who saw it on the road, and what did it tell them about the weather in Tromsø?`;
  const messages = [{ role: "user", content: text }];
  switch (dialect) {
    case "messages":
      return JSON.stringify({ model, max_tokens: 200, messages, stream });
    case "chat":
      return JSON.stringify({ model, max_completion_tokens: 200, messages, stream });
    case "responses":
      return JSON.stringify({ model, max_output_tokens: 200, input: text, store: false, stream });
    default:
      return dialect satisfies never;
  }
}
