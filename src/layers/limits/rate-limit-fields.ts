// The fields `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers. Since draft 08 both are lists of
// policies with parameters (`"burst";r=3;t=12` beside `"burst";q=100;w=60`); draft 07 had one dictionary
// (`limit=100, remaining=3, reset=12`). Only what counts requests is read.

export interface PolicyState {
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetMs: number | undefined;
  readonly windowMs: number | undefined;
}

/** Longer fields, and more policies, are nobody's quota. */
const MOST_CHARACTERS = 512;
const MOST_POLICIES = 8;

/** The policy of which least is left, as a share of it; null: nothing readable. */
export function readRateLimitFields(state: string, policy: string | null): PolicyState | null {
  if (state.length > MOST_CHARACTERS) return null;
  if (/^\s*(?:limit|remaining|reset)=/i.test(state)) return readDictionary(state);
  const policies = new Map(itemsOf(policy ?? "").map(({ name, parameters }) => [name, parameters]));
  let tightest: PolicyState | null = null;
  for (const { name, parameters } of itemsOf(state)) {
    const remaining = whole(parameters.get("r"));
    if (remaining === undefined) continue;
    const declared = policies.get(name);
    if ((declared?.get("qu") ?? "requests") !== "requests") continue;
    const one: PolicyState = {
      limit: whole(declared?.get("q")),
      remaining,
      resetMs: inMs(parameters.get("t")),
      windowMs: inMs(declared?.get("w")),
    };
    if (tightest === null || shareLeft(one) < shareLeft(tightest)) tightest = one;
  }
  return tightest;
}

function readDictionary(text: string): PolicyState | null {
  const members = new Map(
    text.split(",").map((member): [string, string] => {
      const [key = "", value = ""] = member.split("=", 2);
      return [key.trim().toLowerCase(), value.trim()];
    }),
  );
  const remaining = whole(members.get("remaining"));
  if (remaining === undefined) return null;
  return {
    limit: whole(members.get("limit")),
    remaining,
    resetMs: inMs(members.get("reset")),
    windowMs: undefined,
  };
}

interface Item {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
}

function itemsOf(text: string): Item[] {
  if (text.length > MOST_CHARACTERS) return [];
  return text
    .split(",", MOST_POLICIES)
    .map((item) => {
      const [name = "", ...parameters] = item.split(";");
      return {
        name: unquoted(name),
        parameters: new Map(
          parameters.map((parameter): [string, string] => {
            const [key = "", value = ""] = parameter.split("=", 2);
            return [key.trim().toLowerCase(), unquoted(value)];
          }),
        ),
      };
    })
    .filter(({ name }) => name !== "");
}

function unquoted(text: string): string {
  return text.trim().replace(/^"(.*)"$/, "$1");
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function inMs(seconds: string | undefined): number | undefined {
  const value = whole(seconds);
  return value === undefined ? undefined : value * 1_000;
}

function shareLeft({ limit, remaining }: PolicyState): number {
  return limit === undefined || limit === 0 ? remaining : remaining / limit;
}
