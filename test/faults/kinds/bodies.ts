// An answer in one piece, or what should be one, that is well framed and wrong inside.

import { limited, overloaded, UPSTREAM_WORDS } from "../words.ts";
import { errorBody } from "../../fakes/small-answers.ts";
import type { Fault } from "../fault.ts";
import { fateOf, noAnswer, untouched, type Fate } from "../oracle.ts";
import { BAD_TEXT, jsonHead, wireOf, withBadBytes, type Wire } from "../wire.ts";

/** Asked for a stream, a provider that fails may answer in one piece all the same. */
export function bodies(wire: Wire): Fault[] {
  const unread: Fate = { ...fateOf({ ...wire, stream: false }, "garbled", "in content") };
  const told: Fate = { ...fateOf({ ...wire, stream: false }, "told", "in content") };
  const json = (row: string, fate: Fate, body: string | Uint8Array, more: Partial<Fault> = {}): Fault => ({
    row,
    fate,
    step: () => ({
      raw: [{ write: Buffer.concat([Buffer.from(jsonHead(Buffer.byteLength(body))), Buffer.from(body)]) }],
    }),
    ...more,
  });
  const anError = (type: string): string => {
    const body = errorBody(wire.dialect, type, UPSTREAM_WORDS);
    // OpenAI's clients and ours go by the code.
    return JSON.stringify(body).replace('"code":null', `"code":"${type}"`);
  };
  const head = wire.json.slice(0, -1);
  const bad = wireOf(wire.dialect, false, { text: BAD_TEXT });
  const sent = 1;
  return [
    json("malformed JSON: garbage", unread, "{oops}"),
    json("malformed JSON: something behind it", unread, `${wire.json}}`, { sent }),
    json("malformed JSON: 100,000 deep", unread, "[".repeat(100_000)),
    json("malformed JSON: a NUL byte", unread, `${head},"x":"\0"}`, { sent }),
    json("JSON that is no object", noAnswer, "[]"),
    json("JSON that is no object", noAnswer, "null"),
    json("JSON that is no object", noAnswer, "42"),
    json("an object that is no answer", told, "{}"),
    json("an object that is no answer", told, '{"detail":"hello"}'),
    json("200 with an error: overloaded", { ...told, backsOff: true, again: true }, anError(overloaded[wire.dialect])),
    json("200 with an error: server error", told, anError("api_error")),
    json(
      "200 with an error: rate limit",
      { ...told, backsOff: true, again: true, alone: "limit" },
      anError(limited[wire.dialect]),
    ),
    json("200 with an error: its type missing", told, '{"error":{"message":"upstream says no"}}'),
    json("200 with an error: a bare text", told, '{"error":"upstream says no"}'),
    json("invalid UTF-8 in a text", untouched, withBadBytes(bad.json), { sent, text: BAD_TEXT }),
    json("a byte order mark before it", untouched, `\ufeff${wire.json}`, { sent }),
  ];
}
