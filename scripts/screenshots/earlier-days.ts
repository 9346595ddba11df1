// A trail of made-up days, written as the gateway writes one.

import { GENESIS, entryLine, hashLine, type AuditFacts } from "../../src/layers/audit/index.ts";
import type { AttemptRecord } from "../../src/request.ts";
import { noUsage } from "../../src/wire/usage.ts";
import { createSeededRandom } from "../../test/fuzz/seeded-random.ts";

const dayMs = 24 * 3_600_000;
const days = 45;
/** How busy each hour is. */
const rhythm = [0, 0, 0, 0, 0, 0, 1, 2, 5, 8, 9, 8, 4, 6, 9, 8, 7, 4, 2, 2, 3, 2, 1, 0];
const agents = ["windu", "windu", "windu", "mothma", "mothma", "jocasta", "default"];

/** Ends with the last full day (UTC) before `nowMs`. */
export function earlierDays(nowMs: number): string {
  const seeded = createSeededRandom(4040);
  const random = (): number => seeded.next();
  const midnight = Math.floor(nowMs / dayMs) * dayMs;
  let text = "";
  let seq = 0;
  let prev = GENESIS;
  for (let hour = midnight - days * dayMs; hour < midnight; hour += 3_600_000) {
    const at = new Date(hour);
    const weekend = at.getUTCDay() % 6 === 0;
    const busy = rhythm[at.getUTCHours()]! * (weekend ? 0.25 : 1) * (0.5 + random());
    for (let i = 0; i < Math.round(busy); i++) {
      const line = entryLine(++seq, prev, requestAt(hour + Math.floor((i / busy) * 3_500_000), random));
      prev = hashLine(line);
      text += `${line}\n`;
    }
  }
  return text;
}

function requestAt(ts: number, random: () => number): AuditFacts {
  const local = random() < 0.27;
  const input = Math.round(2_000 + random() * 26_000);
  const output = Math.round(200 + random() * 1_800);
  const nanos = input * 3_000 + output * 15_000;
  const ms = Math.round(900 + random() * 6_000);
  const attempt: AttemptRecord = {
    candidate: local ? "coder-14b" : "anthropic/claude-sonnet-4-5",
    provider: local ? "ollama" : "anthropic",
    model: local ? "qwen2.5-coder:14b" : "claude-sonnet-4-5",
    local,
    startedAt: 0,
    outcome: "ok",
    status: 200,
    ms,
    ttftMs: Math.round(ms / 4),
    nanos: local ? 0 : nanos,
    heldNanos: local ? 0 : nanos * 2,
    price: local ? "free" : "catalogue",
    usage: { ...noUsage, input, output },
    usageSource: "upstream",
    reportedModel: null,
    note: null,
  };
  return {
    ts,
    id: `req_${ts.toString(36).toUpperCase().padStart(12, "0")}${Math.floor(random() * 1e9)
      .toString(36)
      .toUpperCase()}`,
    agent: agents[Math.floor(random() * agents.length)]!,
    auth: "token",
    peer: "127.0.0.1",
    dialect: "messages",
    path: "/v1/messages",
    stream: true,
    requestedModel: "claude-sonnet-4-5",
    intent: null,
    route: "default",
    attempts: [attempt],
    served: attempt,
    outcome: "ok",
    status: 200,
    nanos: attempt.nanos,
    heldNanos: attempt.heldNanos,
    wouldHaveNanos: local ? nanos : null,
    ms: ms + 12,
    bytesIn: input * 4,
    bytesOut: output * 5,
  };
}
