// Models with a provider each: what one of them does is no breaker's and no back-off's business in the next test.

import { dialects, loneModels, type LoneModel, type TestDialect } from "../fakes/house.ts";

export class FreshModels {
  readonly #perDialect: number;
  readonly #provider: object;
  readonly #taken: Record<TestDialect, number> = { messages: 0, chat: 0, responses: 0 };

  /** `provider` is laid over each provider's entry. */
  constructor(perDialect: number, provider: object = {}) {
    this.#perDialect = perDialect;
    this.#provider = provider;
  }

  /** Part of a house's configuration. `origin` is without `/v1`. */
  config(origin: string): { providers: object; models: object } {
    const models = dialects.flatMap((dialect) =>
      Array.from({ length: this.#perDialect }, (_, number): LoneModel => ({
        name: nameOf(dialect, number),
        dialect,
        origin,
        provider: this.#provider,
      })),
    );
    return loneModels(models);
  }

  /** A name that was not taken before. */
  take(dialect: TestDialect): string {
    const number = this.#taken[dialect]++;
    if (number >= this.#perDialect) throw new Error(`all ${this.#perDialect} models of ${dialect} are taken`);
    return nameOf(dialect, number);
  }
}

function nameOf(dialect: TestDialect, number: number): string {
  return `fresh-${dialect}-${number}`;
}
