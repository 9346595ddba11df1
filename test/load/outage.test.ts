import { expect, setDefaultTimeout, test } from "bun:test";
import { runOutage, type OutageResult } from "./outage.ts";

setDefaultTimeout(120_000);

const seconds = 10;
const perSecond = 40;
/** Of the offered requests. */
const mostCalls = 1.1;

function tell(name: string, { offered, upstreamCalls, answered, refused }: OutageResult): void {
  const share = (upstreamCalls / offered).toFixed(3);
  console.log(
    `${name}: ${offered} offered, ${upstreamCalls} upstream calls (${share}), ${answered} answered, ${refused} refused`,
  );
}

test("while the cloud answers 503 to all, the local model answers every request, and the cloud is asked once each at most", async () => {
  // Three cloud models before the local one: each failure could be asked for at every one of them.
  for (const clouds of [1, 3]) {
    const result = await runOutage({ seconds: seconds / 2, perSecond, clouds, hasLocal: true, attempts: 3 });
    tell(`${clouds} cloud models and a local one`, result);
    expect(result.illegal).toEqual([]);
    expect(result.answered).toBe(result.offered);
    expect(result.linesInTrail).toBe(result.offered);
    expect(result.upstreamCalls).toBeGreaterThan(0);
    expect(result.upstreamCalls).toBeLessThanOrEqual(result.offered * mostCalls);
  }
});

test("without a local model every request gets a clean refusal, and tries again at the cloud do not add up to a storm", async () => {
  for (const clouds of [1, 3]) {
    const result = await runOutage({ seconds: seconds / 2, perSecond, clouds, hasLocal: false, attempts: 5 });
    tell(`${clouds} cloud models alone`, result);
    expect(result.illegal).toEqual([]);
    expect(result.refused).toBe(result.offered);
    expect(result.linesInTrail).toBe(result.offered);
    expect(result.upstreamCalls).toBeGreaterThan(0);
    expect(result.upstreamCalls).toBeLessThanOrEqual(result.offered * mostCalls);
  }
});
