import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import type { Finish, Funded, GatewayResponse, Handler, Keyed, Provider } from "../../request.ts";
import { classifyFailure } from "../../wire/failure-table.ts";
import { Secret } from "../../secret.ts";
import { KeyRing } from "./key-ring.ts";
import { provider } from "./sample-provider.ts";
import { unlock } from "./unlock.ts";

function ringOf(values: readonly string[]): KeyRing {
  return new KeyRing({
    clock: { now: () => 0, monotonic: () => 0 },
    sourceOf: () => ({ load: async (name) => values.map((value) => new TextEncoder().encode(`${value}-${name}`)) }),
  });
}

/** Only what `unlock` looks at; the rest it hands on. */
function funded(to: Provider, passthrough: Secret | null = null): Funded {
  const candidate = { provider: to, reason: "requested" };
  return {
    candidate,
    request: { passthrough, candidates: [candidate] },
    attempt: { reportedModel: null, note: null },
  } as unknown as Funded;
}

function answer(
  status = 200,
  finished: Promise<Finish> = Promise.resolve({ outcome: "ok", bytesOut: 0 }),
): GatewayResponse {
  return { status, headers: {}, body: "", finished };
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** As the header is built. */
function valueOf({ key, candidate }: Keyed): string | undefined {
  return key?.revealFor(`${candidate.provider.url}/v1/messages`);
}

/** Whether the key still opens. */
function opens(keyed: Keyed | null): boolean {
  if (keyed === null) return false;
  try {
    return valueOf(keyed) !== undefined;
  } catch {
    return false;
  }
}

const anthropic = provider("anthropic");

function setUp(...values: readonly string[]): {
  ring: KeyRing;
  run: (inner: Handler<Keyed>, request?: Funded) => Promise<GatewayResponse>;
} {
  const ring = ringOf(values);
  ring.configure([
    anthropic,
    provider("openai"),
    provider("own", { from: "passthrough" }),
    provider("free", { from: "none" }),
  ]);
  return { ring, run: (inner, request = funded(anthropic)) => unlock({ keys: ring })(inner)(request) };
}

/** The keys, once they are there. */
async function loaded(ring: KeyRing): Promise<readonly Secret[]> {
  await ring.loadAll();
  return ring.secrets();
}

/** Retires the key, so that it is wiped as soon as nobody borrows it. */
function retireAll(ring: KeyRing): void {
  ring.configure([]);
}

describe("unlock", () => {
  test("lends each provider's own key and no other", async () => {
    const { run } = setUp("sk-ant");
    for (const name of ["anthropic", "openai"]) {
      await run(
        async (keyed) => {
          expect(valueOf(keyed)).toBe(`sk-ant-${name}`);
          return answer();
        },
        funded(provider(name)),
      );
    }
  });

  test("skips a candidate whose key is missing, without calling on", async () => {
    const { run } = setUp();
    const inner: Handler<Keyed> = () => Promise.reject(new Error("called"));
    const error = await errorOf(run(inner));
    expect(error).toMatchObject({
      outcome: "skipped_key",
      billed: "none",
      note: "missing: no key is stored; run `sanctum keys set anthropic`",
    });
    expect(await errorOf(run(inner, funded(provider("own", { from: "passthrough" }))))).toMatchObject({
      outcome: "skipped_key",
    });
    expect(await errorOf(run(inner, funded(provider("unknown"))))).toMatchObject({ outcome: "skipped_key" });
  });

  test("hands on the caller's own key, or none where none is needed", async () => {
    const { run } = setUp("sk-ant");
    const own = Secret.fromString("sk-caller-1234");
    await run(
      async (keyed) => {
        expect(valueOf(keyed)).toBe("sk-caller-1234");
        // What the caller knows already is not looked for in its answer.
        expect(keyed.scrubber).toBeNull();
        return answer();
      },
      funded(provider("own", { from: "passthrough" }), own),
    );
    await run(
      async (keyed) => {
        expect([keyed.key, keyed.scrubber]).toEqual([null, null]);
        return answer();
      },
      funded(provider("free", { from: "none" }), own),
    );
  });

  test("keeps the key for as long as the answer goes on", async () => {
    const { ring, run } = setUp("sk-ant");
    const [secret] = await loaded(ring);
    const end = Promise.withResolvers<Finish>();
    let lent: Keyed | null = null;
    const response = await run(async (keyed) => {
      lent = keyed;
      return answer(200, end.promise);
    });
    retireAll(ring);
    const during = [opens(lent), secret?.wiped];
    end.resolve({ outcome: "ok", bytesOut: 3 });
    expect(await response.finished).toEqual({ outcome: "ok", bytesOut: 3 });
    expect([during, opens(lent), secret?.wiped]).toEqual([[true, false], false, true]);
  });

  test("takes the key back whatever the attempt throws, and throws it on", async () => {
    for (const thrown of [new AttemptError("upstream_500", { status: 500 }), new TypeError("a bug"), "text"]) {
      const { ring, run } = setUp("sk-ant");
      const [secret] = await loaded(ring);
      let lent: Keyed | null = null;
      const error = await errorOf(
        run((keyed) => {
          lent = keyed;
          throw thrown;
        }),
      );
      expect(error).toBe(thrown);
      // Also where the ring keeps it: this loan is over.
      expect([opens(lent), secret?.wiped]).toEqual([false, false]);
      retireAll(ring);
      expect(secret?.wiped).toBeTrue();
    }
  });

  test("a 401 or 403 of the provider marks the key as rejected, the next answer clears it", async () => {
    for (const status of [401, 403]) {
      const { ring, run } = setUp("sk-ant");
      await errorOf(run(() => Promise.reject(new AttemptError(`upstream_${status}`, { status }))));
      expect([ring.state("anthropic"), ring.state("openai")]).toEqual(["rejected", "none"]);
      await run(async () => answer(400));
      expect(ring.state("anthropic")).toBe("rejected");
      await run(async () => answer());
      expect(ring.state("anthropic")).toBe("ok");
    }
  });

  test("a failure of one key is marked where the provider has another one, which is lent next", async () => {
    const perKey = [
      new AttemptError("upstream_401", { status: 401 }),
      new AttemptError("upstream_403", { status: 403 }),
      new AttemptError("upstream_429", { status: 429, retryAfterMs: 9_000 }),
      new AttemptError("upstream_402", { status: 402 }),
      new AttemptError("upstream_400", { status: 400, outOfCredit: true }),
      new AttemptError("error_event", { fault: { status: 429, code: undefined, message: "slow" } }),
    ];
    for (const failure of perKey) {
      const { run } = setUp("sk-one", "sk-two");
      const lent: (string | undefined)[] = [];
      const failing: Handler<Keyed> = (keyed) => {
        lent.push(valueOf(keyed));
        throw failure;
      };
      await errorOf(run(failing));
      expect([failure.outcome, failure.otherKey]).toEqual([failure.outcome, true]);
      await errorOf(run(failing));
      expect(failure.otherKey).toBeFalse();
      expect(lent).toEqual(["sk-one-anthropic", "sk-two-anthropic"]);
    }
    const { run } = setUp("sk-one", "sk-two");
    for (const failure of [
      new AttemptError("upstream_500", { status: 500 }),
      new AttemptError("connect_failed"),
      new AttemptError("upstream_400", { status: 400 }),
      // OpenAI says by 403 that a project has no access to a model: the key is as good as any.
      new AttemptError("upstream_403", {
        status: 403,
        failure: classifyFailure({
          outcome: "upstream_403",
          status: 403,
          fault: { status: 403, code: "model_not_found", message: "no access to model" },
        }),
      }),
    ]) {
      await errorOf(run(() => Promise.reject(failure)));
      expect(failure.otherKey).toBeFalse();
    }
  });

  test("a caller's rejected key says nothing about the house", async () => {
    const { ring, run } = setUp("sk-ant");
    const request = funded(provider("own", { from: "passthrough" }), Secret.fromString("sk-caller-1234"));
    await errorOf(run(() => Promise.reject(new AttemptError("upstream_401", { status: 401 })), request));
    expect(ring.state("own")).toBe("none");
  });

  test("a key that was lent for another provider ends the request loudly", async () => {
    const { ring } = setUp("sk-ant");
    const key = Secret.fromString("sk-openai-1234");
    ring.borrow = () => ({ provider: "openai", origin: "https://api.openai.com", key, known: [key] });
    let sent = false;
    const inner: Handler<Keyed> = async () => {
      sent = true;
      return answer();
    };
    const error = await errorOf(unlock({ keys: ring })(inner)(funded(anthropic)));
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(AttemptError);
    expect(sent).toBeFalse();
  });
});
