import { describe, expect, test } from "bun:test";
import { Errands, NobodyListens, type Send } from "./errands.ts";
import type { Batch, BatchAnswer, Errand } from "./messages.ts";

const close = (request: string): Errand => ({ do: "close", request });

interface Keeper {
  readonly batches: Batch[];
  readonly send: Send;
  /** Answers so many batches; the rest is put off. */
  willing: number;
}

function keeper(willing = Infinity): Keeper {
  const self: Keeper = {
    batches: [],
    willing,
    send: async (_lane, batch): Promise<BatchAnswer | null> => {
      self.batches.push(batch);
      if (self.willing-- <= 0) return null;
      return { answers: batch.errands.map((errand) => JSON.stringify(errand)), views: [] };
    },
  };
  return self;
}

function errands(): { errands: Errands; waits: (() => void)[] } {
  const waits: (() => void)[] = [];
  const made = new Errands({
    inFlight: () => 3,
    agents: () => ["windu"],
    onViews: () => undefined,
    wait: () => new Promise((resolve) => waits.push(resolve)),
  });
  return { errands: made, waits };
}

describe("errands", () => {
  test("that are told before there is anybody are told in order, and answered", async () => {
    const { errands: told } = errands();
    const answers = [told.tell(close("a")), told.tell(close("b"))];
    const to = keeper();
    told.start(to.send);
    expect(await Promise.all(answers)).toEqual([JSON.stringify(close("a")), JSON.stringify(close("b"))]);
    expect(to.batches).toEqual([{ number: 1, errands: [close("a"), close("b")], inFlight: 3, agents: ["windu"] }]);
  });

  test("that were put off are told again as the same batch, under the same number, before what came since", async () => {
    const { errands: told, waits } = errands();
    const to = keeper(0);
    told.start(to.send);
    const first = told.tell(close("a"));
    await Bun.sleep(0);
    const second = told.tell(close("b"));
    to.willing = Infinity;
    waits.shift()!();
    await Promise.all([first, second]);
    expect(to.batches.map(({ number, errands: list }) => [number, list])).toEqual([
      [1, [close("a")]],
      [1, [close("a")]],
      [2, [close("b")]],
    ]);
    await told.told();
  });

  test("that nobody answered come back in order when it is given up, and can wait for the next one", async () => {
    const { errands: told, waits } = errands();
    told.start(keeper(0).send);
    const answers = [told.tell(close("a")), told.tell(close("b"))];
    await Bun.sleep(0);
    const untold = told.stop();
    expect(untold.map(({ errand }) => errand)).toEqual([close("a"), close("b")]);
    told.restore(untold);
    const to = keeper();
    told.start(to.send);
    waits.shift()!();
    expect(await Promise.all(answers)).toHaveLength(2);
    // What one may have done already keeps its number, so that another one of the same books does it once.
    expect(to.batches.map(({ number }) => number)).toEqual([1, 2]);
  });

  test("for which there is nobody any more end, and so do all later ones", async () => {
    const { errands: told } = errands();
    const waiting = told.tell(close("a"));
    told.giveUp();
    await expect(waiting).rejects.toBeInstanceOf(NobodyListens);
    await expect(told.tell(close("b"))).rejects.toBeInstanceOf(NobodyListens);
    await told.told();
  });
});
