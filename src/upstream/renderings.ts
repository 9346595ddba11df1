// How the events of an upstream become what the client sees.

import type { Clock } from "../clock.ts";
import type { Keyed } from "../request.ts";
import { sseErrorEvent } from "../wire/errors.ts";
import type {
  AnswerContext,
  Codec,
  Dialect,
  NeutralEvent,
  SseEvent,
  StreamWriter,
  UpstreamFault,
} from "../wire/neutral.ts";
import { isOwnErrorEvent } from "../wire/own-error-event.ts";
import { cutAtStops } from "../wire/stop-cutter.ts";
import type { ToolHold } from "../wire/tool-hold.ts";
import type { Rendering } from "./relay.ts";
import { ResponseIdentity } from "./response-identity.ts";
import { mayPass, toldFault } from "./told-fault.ts";

/** The same dialect on both sides: the upstream's own bytes, but for what must differ. */
export function passing(keyed: Keyed, codec: Codec, clock: Clock): Rendering {
  const { facts } = keyed.request;
  const reader = codec.createReader();
  const context = { model: facts.model, includeUsage: facts.wantsUsageEvent };
  const identity = codec.dialect === "responses" ? new ResponseIdentity(keyed, clock) : null;
  const fail = (fault: UpstreamFault): string => sseErrorEvent(codec.dialect, fault, identity?.next());
  return {
    read: (event) => reader.read(event),
    render: (event, events) => {
      const error = events.find((one) => one.type === "error");
      if (error !== undefined && (mustRewrite(codec.dialect, error.fault, event) || !mayPass(keyed, event))) {
        // In its place: the number of the upstream's event is not used up.
        return fail(toldFault(keyed, error.fault));
      }
      identity?.see(event);
      return codec.patchEvent(identity?.renumbered(event) ?? event, context) ?? "";
    },
    terminal: () => terminals[codec.dialect],
    ping: () => identity?.ping() ?? pings[codec.dialect],
    fail,
  };
}

/** What the readers make of an event that is not JSON: passed on, it would look like the clean end of a short answer. */
const unreadable = 502;

/**
 * Clients know their own vendor's error events, so those go on as they are; but Responses clients act on
 * `response.failed` alone (a bare `error` makes Codex wait and ask again), and a rejected key is the house's affair.
 */
function mustRewrite(dialect: Dialect, { status }: UpstreamFault, event: SseEvent): boolean {
  if (dialect === "responses" || status === 401 || status === 403 || status === unreadable) return true;
  return !isOwnErrorEvent(dialect, event);
}

/** Where nothing of the answer itself is needed for it. */
const pings: Readonly<Record<Dialect, string>> = {
  messages: 'event: ping\ndata: {"type":"ping"}\n\n',
  chat: ": ping\n\n",
  responses: "",
};

/** Ends a stream whose upstream gave its stop reason and then forgot the last event. */
const terminals: Readonly<Record<Dialect, string>> = {
  messages: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  chat: "data: [DONE]\n\n",
  responses: "",
};

/** Through the neutral form. `hold`: tool calls wait until they are whole. */
export function translating(
  keyed: Keyed,
  client: Codec,
  upstream: Codec,
  context: AnswerContext,
  hold: ToolHold | null,
): Rendering {
  const reader = upstream.createReader();
  const writer = cutAtStops(client.createWriter(context), context.request.stop);
  return {
    read: (event) => reader.read(event),
    release: (events) => hold?.release(events) ?? events,
    render: (_, events) => written(writer, events, keyed),
    terminal: () => written(writer, hold?.release(ended) ?? ended, keyed),
    ping: () => writer.ping(),
    fail: (fault) => writer.fail(fault),
  };
}

const ended: readonly NeutralEvent[] = [{ type: "end" }];

function written(writer: StreamWriter, events: readonly NeutralEvent[], keyed: Keyed): string {
  let text = "";
  for (const event of events)
    text += event.type === "error" ? writer.fail(toldFault(keyed, event.fault)) : writer.write(event);
  return text;
}
