import { afterEach, expect, test } from "bun:test";
import { createStats, Tally, type ProviderStatus, type StatsDocument } from "../layers/audit/index.ts";
import { StandingClock, sampleFacts } from "../layers/audit/sample-facts.ts";
import type { Io } from "./io.ts";
import { statsCommand, statusCommand } from "./stats.ts";

afterEach(() => {
  process.exitCode = 0;
});

function document(
  provider: Partial<ProviderStatus> = {},
  configFault: readonly string[] | null = null,
  ledger: Partial<StatsDocument["ledger"]> = {},
): StatsDocument {
  const clock = new StandingClock();
  const tally = new Tally(() => "2026-11-23");
  tally.opened();
  tally.closed(sampleFacts());
  return createStats({
    version: "1.0.0",
    clock,
    tally,
    timezone: () => "UTC",
    day: () => ({ key: "2026-11-23", endsAt: Date.UTC(2026, 10, 24) }),
    agents: () => [
      ["windu", { daily: 2_000_000_000, hourly: 1_500_000_000, monthly: 1_000_000_000 }],
      ["default", { daily: 500_000_000 }],
    ],
    windowBalances: () => ({
      hour: { spentNanos: 250_000_000, heldNanos: 50_000_000 },
      month: { spentNanos: 1_000_000_000, heldNanos: 0 },
    }),
    balances: (agent) => ({ spentNanos: agent === "windu" ? 1_000_000_000 : 20_000, heldNanos: 0 }),
    config: () => ({
      generation: 1,
      loadedAt: clock.now(),
      fault: configFault === null ? null : { since: clock.now(), messages: configFault },
    }),
    providers: () => [
      ["anthropic", { state: "closed", key: "ok", limits: {}, waiting: 0, backoffUntil: null, ...provider }],
    ],
    seal: () => ({ place: "keychain", seq: 3, fault: null, alarms: [] }),
    audit: () => ({
      entries: 1,
      head: "sha256:aa",
      lastWrittenAt: clock.now(),
      fault: null,
      pending: 0,
      lost: 0,
      notes: [],
    }),
    ledger: () => ({ fault: null, exceeded: 0, expired: 0, notes: [], ...ledger }),
  })();
}

function captured(isTty: boolean, env: Record<string, string> = {}): Io & { text: string; errors: string } {
  return {
    text: "",
    errors: "",
    isTty,
    env,
    home: "",
    configFile: "",
    out(text: string) {
      this.text += text;
    },
    err(text: string) {
      this.errors += text;
    },
  };
}

test("stats shows what each agent spent, what is held and left of each cap, providers, models and the audit head", async () => {
  const io = captured(false);
  await statsCommand(io, async () => document()).parseAsync([], { from: "user" });
  expect(io.text).toContain(
    "2026-11-23, until 00:00, in 6 h 0 min: 1 request, $1.0000 spent, $0.0000 saved, 0 % local",
  );
  expect(io.text).toMatch(/windu +██████░░░░░░ +50 % +\$1\.0000 +\$0\.0000 +\$1\.0000 +\$2\.00\n/);
  expect(io.text).toMatch(/ {2}this hour +██░░░░░░░░░░ +20 % +\$0\.2500 +\$0\.0500 +\$1\.2000 +\$1\.50\n/);
  expect(io.text).toMatch(/ {2}this month +█{12} +100 % +\$1\.0000 +\$0\.0000 +\$0\.0000 +\$1\.00 +used up\n/);
  expect(io.text).toMatch(/default +█░{11} +<1 % +<\$0\.0001 +\$0\.0000 +\$0\.5000 +\$0\.50\n/);
  expect(io.text).toMatch(/windu +1 +1 +0 +0 +0 +0 +1,200 +340\n/);
  expect(io.text).toMatch(/anthropic +closed +ok +1 +0 +210 ms +210 ms\n/);
  expect(io.text).toContain("1 entries, last written: 18:00:00, head sha256:aa");
});

test("stats shows who is left alone and until when: a model under its provider, a day where it is not within the next one", async () => {
  const io = captured(false);
  const provider = {
    backoffUntil: "2026-12-01T00:00:00.000Z",
    models: { "claude-opus": { state: "open", backoff_until: "2026-11-23T18:00:30.000Z" } },
  } as const;
  await statsCommand(io, async () => document(provider)).parseAsync([], { from: "user" });
  expect(io.text).toMatch(/anthropic +closed +ok +1 +0 +210 ms +210 ms +2026-12-01 00:00\n/);
  expect(io.text).toMatch(/ {2}claude-opus +open +18:00:30\n/);
});

test("stats is in colour on a terminal only, and never with NO_COLOR", async () => {
  for (const [isTty, env, coloured] of [
    [true, {}, true],
    [true, { NO_COLOR: "1" }, false],
    [true, { TERM: "dumb" }, false],
    [false, {}, false],
  ] as const) {
    const io = captured(isTty, env);
    await statsCommand(io, async () => document()).parseAsync([], { from: "user" });
    expect(io.text.includes("\u001b[")).toBe(coloured);
  }
});

test("stats --json prints the document", async () => {
  const io = captured(true);
  await statsCommand(io, async () => document()).parseAsync(["--json"], { from: "user" });
  expect(JSON.parse(io.text)).toEqual(document());
});

test("both say what is wrong, with exit code 1, where no gateway answers", async () => {
  for (const command of [statsCommand, statusCommand]) {
    const io = captured(false);
    const fetchStats = async (): Promise<StatsDocument> => Promise.reject(new Error("no gateway on port 4040"));
    await command(io, fetchStats).parseAsync([], { from: "user" });
    expect(io.errors).toBe("no gateway on port 4040\n");
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
  }
});

/** A day on which no budget is used up. */
function solvent(ledger: Parameters<typeof document>[2] = {}): StatsDocument {
  const found = document({}, null, ledger);
  const { windu, ...others } = found.agents;
  const { month: _, ...within } = windu!;
  return { ...found, agents: { windu: within, ...others } };
}

test("status --json says in the same fields that no gateway answers", async () => {
  const io = captured(false);
  const fetchStats = async (): Promise<StatsDocument> => Promise.reject(new Error("no gateway on port 4040"));
  await statusCommand(io, fetchStats).parseAsync(["--json"], { from: "user" });
  const problems = ["no gateway on port 4040"];
  expect(JSON.parse(io.text)).toEqual({ ok: false, version: null, uptime_s: null, in_flight: null, problems });
  expect(process.exitCode).toBe(1);
  process.exitCode = 0;
});

test("status is quiet when all is well, and otherwise names each thing with what to do, with exit code 1", async () => {
  const good = captured(false);
  await statusCommand(good, async () => solvent()).parseAsync([], { from: "user" });
  expect(good.text).toContain("all is well");
  expect(process.exitCode).toBe(0);
  const bad = captured(false);
  const faulty = document({ state: "open", key: "missing" }, ["config.yaml:1:1 agnts: unknown key; remove it"]);
  await statusCommand(bad, async () => faulty).parseAsync([], { from: "user" });
  expect(bad.text).toContain("config.yaml:1:1 agnts: unknown key; remove it");
  expect(bad.text).toContain("sanctum keys set anthropic");
  expect(bad.text).toContain("anthropic: not asked for now");
  expect(bad.text).toContain("windu: the budget of the month is used up");
  expect(process.exitCode).toBe(1);
  const json = captured(false);
  await statusCommand(json, async () => faulty).parseAsync(["--json"], { from: "user" });
  expect(JSON.parse(json.text)).toMatchObject({ ok: false, version: "1.0.0" });
});

test("status says that nothing is spent and why, and what the ledger found odd", async () => {
  const halted = captured(false);
  const fault = "The ledger's sums are wrong; check the disk and restart the gateway.";
  await statusCommand(halted, async () => document({}, null, { fault })).parseAsync([], { from: "user" });
  expect(halted.text).toContain(`nothing is spent: ${fault}`);
  expect(process.exitCode).toBe(1);
  process.exitCode = 0;
  const odd = captured(false);
  const notes = ["the clock was set forward by 24 h; the budget's day is 2026-11-24 instead of 2026-11-23"];
  await statusCommand(odd, async () => solvent({ notes })).parseAsync([], { from: "user" });
  expect(odd.text).toContain(`ledger: ${notes[0]}`);
  expect(odd.text).toContain("all is well");
  expect(process.exitCode).toBe(0);
});

test("a drift of the provider's figures from the price list shows in both, and is no problem of the gateway's", async () => {
  const model = { requests: 3, spent_usd: 0.5, input_tokens: 1, output_tokens: 1 };
  const drifted: StatsDocument = {
    ...document(),
    agents: {},
    models: {
      "openrouter/a/dear": { ...model, price_drift: 0.2 },
      "openrouter/a/good": { ...model, price_drift: 0.01 },
      "openrouter/a/gift": { ...model, price_drift: null },
    },
  };
  const stats = captured(false);
  await statsCommand(stats, async () => drifted).parseAsync([], { from: "user" });
  expect(stats.text).toMatch(/a\/dear .* \+20\.0 % against the price list\n/);
  expect(stats.text).toMatch(/a\/gift .* charged, though listed as free\n/);
  expect(stats.text).toMatch(/a\/good +3 +\$0\.5000 +1 +1\n/);
  const status = captured(false);
  await statusCommand(status, async () => drifted).parseAsync([], { from: "user" });
  expect(status.text).toContain("openrouter/a/dear: +20.0 % against the price list; `sanctum reconcile` tells more");
  expect(process.exitCode).toBe(0);
});

test("status and stats show how a local server stands, and what fetches a model that it lacks", async () => {
  const since = Date.UTC(2026, 10, 23, 17, 30);
  const server = { state: "ready", since, loaded: ["m:7b"], concurrent: 4 } as const;
  const missing = [
    { name: "coder", provider: "den", model: "x", instead: null, message: "coder: den has no model x; fetch it" },
    { name: "gemma", provider: "den", model: "y", instead: "z", message: "gemma: den has no model y; it serves z" },
  ];
  const told = async (some: Partial<ProviderStatus>, names = missing): Promise<[string, string]> => {
    const status = captured(false);
    const fetched = { ...document({ key: "none", ...some }), missing_models: names };
    await statusCommand(status, async () => fetched).parseAsync([], { from: "user" });
    const stats = captured(false);
    await statsCommand(stats, async () => fetched).parseAsync([], { from: "user" });
    return [status.text, stats.text];
  };
  const [status, stats] = await told({ server });
  expect(status).toContain("anthropic: ready, in memory: m:7b\n");
  expect(status).toContain("coder: den has no model x; fetch it\n");
  expect(status).toContain("gemma: den has no model y; it serves z\n");
  expect(process.exitCode).toBe(1);
  expect(stats).toMatch(/anthropic +closed +ready +none/);

  const [down] = await told({ server: { ...server, state: "down" } }, []);
  expect(down).toContain("anthropic: the server does not answer since 17:30:00\n");
  const [loading] = await told({ server: { ...server, state: "loading" } }, []);
  expect(loading).toContain("anthropic: loading its model\n");
});

test("a model for every name is no problem, only told", async () => {
  const io = captured(false);
  const message = "gemma: den has no model y; it serves z";
  const missing = [{ name: "gemma", provider: "den", model: "y", instead: "z", message }];
  const fine = { ...document(), agents: {}, missing_models: missing };
  await statusCommand(io, async () => fine).parseAsync([], { from: "user" });
  expect(io.text).toContain("all is well");
  expect(io.text).toContain(message);
  expect(process.exitCode).toBe(0);
});
