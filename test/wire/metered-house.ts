// A house whose bills are looked at: each question's audit line, and what the agent has used by the statistics.

import { neverContinuing } from "../fakes/continuing-model.ts";
import { post, startHouse, type House, type HouseOptions, type PostOptions, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import type { AgentStats, AuditLine } from "../harness.ts";

export interface Bill {
  readonly status: number;
  /** The answer as the client got it. */
  readonly text: string;
  readonly line: AuditLine;
  readonly usage: JsonObject;
  readonly attempts: readonly JsonObject[];
}

export class MeteredHouse implements AsyncDisposable {
  readonly house: House;

  constructor(house: House) {
    this.house = house;
  }

  static async start(options: HouseOptions = {}): Promise<MeteredHouse> {
    return new MeteredHouse(await startHouse({ ...options, local: { respond: neverContinuing(), ...options.local } }));
  }

  /** Asks; the cloud plays `step`. */
  async bill(dialect: TestDialect, model: string, step: Step, options: PostOptions = {}): Promise<Bill> {
    this.house.cloud.script.push(step);
    return this.ask(dialect, model, options);
  }

  async ask(dialect: TestDialect, model: string, options: PostOptions = {}): Promise<Bill> {
    const response = await post(this.house.gateway, dialect, { model, ...options });
    const text = await response.text();
    return { status: response.status, text, ...(await this.lineOf(response)) };
  }

  async lineOf(response: Response): Promise<Pick<Bill, "line" | "usage" | "attempts">> {
    const id = response.headers.get("x-sanctum-request-id");
    const line = await this.house.gateway.auditLine((one) => one.id === id);
    return { line, usage: objectOf(line["usage"]) ?? {}, attempts: objectsOf(line["attempts"]) };
  }

  /** What the statistics say of the agent without a name. */
  async used(): Promise<Pick<AgentStats, "input_tokens" | "output_tokens" | "spent_usd" | "requests">> {
    const none = { input_tokens: 0, output_tokens: 0, spent_usd: 0, requests: 0 };
    return (await this.house.gateway.stats()).agents["default"] ?? none;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.house[Symbol.asyncDispose]();
  }
}

/** USD of so many tokens at so many USD per million each, as the audit line rounds it. */
export function usdOf(...parts: readonly (readonly [tokens: number, perMillion: number])[]): number {
  const millionths = parts.reduce((sum, [tokens, rate]) => sum + tokens * rate, 0);
  return Math.round(millionths) / 1_000_000;
}
