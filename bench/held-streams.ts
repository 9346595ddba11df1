// `npm run bench -- held [STREAMS]`: what a stream that stands open costs in resident memory, by the way between two
// dialects and by the length of its prompt.

import { descriptorsOf, ProcessWatch } from "../test/load/process-watch.ts";
import { HeldStreams, type Way } from "../test/load/held-streams.ts";
import { startHouse } from "../test/fakes/house.ts";

const streams = Number(process.argv[3] ?? 1_000);
/** With long prompts memory is what ends first. */
const streamsOfLongPrompts = Math.ceil(streams / 5);
const longPromptBytes = 200_000;
const settleMs = 4_000;

interface Scenario {
  readonly name: string;
  readonly way: Way;
  readonly count: number;
  readonly promptBytes?: number;
}

const scenarios: readonly Scenario[] = [
  { name: "chat, the same dialect", way: { client: "chat", provider: "chat" }, count: streams },
  { name: "messages, the same dialect", way: { client: "messages", provider: "messages" }, count: streams },
  { name: "messages from chat", way: { client: "messages", provider: "chat" }, count: streams },
  { name: "responses from messages", way: { client: "responses", provider: "messages" }, count: streams },
  ...(["messages", "chat"] as const).map((provider) => ({
    name: `messages from ${provider}, prompts of 200 KB`,
    way: { client: "messages", provider } as const,
    count: streamsOfLongPrompts,
    promptBytes: longPromptBytes,
  })),
];

interface Held {
  readonly before: number;
  readonly during: number;
  readonly after: number;
  readonly descriptors: number;
  readonly faults: readonly string[];
}

async function measure({ way, count, promptBytes }: Scenario): Promise<Held> {
  await using held = await HeldStreams.start({
    pieces: 40,
    ways: [way],
    ...(promptBytes === undefined ? {} : { promptBytes }),
  });
  await using house = await startHouse({ config: { ...held.parts, fallback: [] } });
  const { url, pid } = house.gateway;
  await held.runUndisturbed(url);
  const watch = new ProcessWatch(pid, 1e9, () => 0);
  watch.stop();
  const look = async (): Promise<number> => {
    await Bun.sleep(settleMs);
    return watch.look().megabytes;
  };
  // The compilers have done their work, and the allocator has what it needs: what is measured is streams.
  await held.open(url, Math.ceil(count / 4));
  await held.finish();
  const before = await look();
  await held.open(url, count);
  for (let event = 0; event < 10; event++) {
    held.step();
    await Bun.sleep(100);
  }
  const during = await look();
  const descriptors = descriptorsOf(pid).length;
  const faults = await held.finish();
  return { before, during, after: await look(), descriptors, faults };
}

console.log("| Streams | Number | MB before | MB while open | MB afterwards | KB a stream | Descriptors |");
console.log("|---|---|---|---|---|---|---|");
for (const scenario of scenarios) {
  const { before, during, after, descriptors, faults } = await measure(scenario);
  const each = (((during - before) * 1_000) / scenario.count).toFixed(0);
  const megabytes = [before, during, after].map((value) => value.toFixed(0)).join(" | ");
  console.log(`| ${scenario.name} | ${scenario.count} | ${megabytes} | ${each} | ${descriptors} |`);
  if (faults.length > 0) {
    console.error(faults.slice(0, 5).join("\n"));
    process.exitCode = 1;
  }
}
