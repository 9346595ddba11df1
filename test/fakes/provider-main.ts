// The fake provider in a process of its own, for tests that kill the gateway and for measurements.
//
//   sh bin/bun test/fakes/provider-main.ts '{"local":false,"cycle":[{"answer":{"text":"hi"}}]}'
//
// Prints one JSON line `{"url": …, "control": …}` and runs until SIGTERM or until its standard input ends.
// Control: GET /requests (what came, in order) · GET /arrived?count=N (answers when N generations have come) ·
// PUT /cycle (a JSON list of steps, used in turn from now on).

import { FakeProvider, type ProviderOptions } from "./provider.ts";
import type { Step } from "./script.ts";

export interface ProcessOptions extends Omit<ProviderOptions, "respond"> {
  /** Request number n is played by step n modulo their number. */
  readonly cycle?: readonly Step[];
}

/** One request as the control endpoint shows it. */
export interface SeenRequest {
  readonly index: number;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
  readonly state: string;
  readonly faults: readonly string[];
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? "{}") as ProcessOptions;
  let cycle: readonly Step[] = options.cycle ?? [{}];
  let turn = 0;
  const provider = await FakeProvider.start({ ...options, respond: () => cycle[turn++ % cycle.length] ?? {} });
  const control = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    routes: {
      "/requests": () => Response.json(provider.requests.map(seen)),
      "/arrived": async (request) => {
        await provider.arrived(Number(new URL(request.url).searchParams.get("count")));
        return new Response("ok");
      },
      "/cycle": {
        PUT: async (request) => {
          cycle = (await request.json()) as readonly Step[];
          turn = 0;
          return new Response("ok");
        },
      },
    },
  });
  console.log(JSON.stringify({ url: provider.url, control: control.url.origin }));
  const stop = (): void => {
    void control.stop(true);
    void provider[Symbol.asyncDispose]().finally(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  // Whoever started it holds the other end: no fake outlives its test.
  process.stdin.on("end", stop).resume();
}

function seen(request: FakeProvider["requests"][number]): SeenRequest {
  const { index, method, target, headers, text, state, faults } = request;
  return { index, method, target, headers, text, state, faults };
}

await main();
