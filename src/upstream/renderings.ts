// How the events of an upstream become what the client sees.

import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import type { Keyed } from "../request.ts";
import { CallGate } from "../wire/call-gate.ts";
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
import type { Rendering } from "./rendering.ts";
import { ResponseIdentity } from "./response-identity.ts";
import { Shown } from "./shown.ts";
import { mayPass, toldFault } from "./told-fault.ts";

/**
 * The same dialect on both sides: the upstream's own bytes, but for what must differ. Where the answer may be handed over, tool
 * calls wait until they are whole, and the client's place in the answer is known. `answerContext`: of the answer, for who
 * goes on with it; throws where the request can't be translated.
 */
export function passing(keyed: Keyed, codec: Codec, clock: Clock, answerContext: () => AnswerContext): Rendering {
  const { facts } = keyed.request;
  const reader = codec.createReader();
  const context = { model: facts.model, includeUsage: facts.wantsUsageEvent };
  const identity = codec.dialect === "responses" ? new ResponseIdentity(keyed, clock) : null;
  const fail = (fault: UpstreamFault): string => sseErrorEvent(codec.dialect, fault, identity?.next());
  const pass = (event: SseEvent): string => {
    identity?.see(event);
    return codec.patchEvent(identity?.renumbered(event) ?? event, context) ?? "";
  };
  let begun = false;
  /** What goes out in place of an event; null: the event itself. */
  const instead = (event: SseEvent, events: readonly NeutralEvent[]): string | null => {
    // At a second beginning clients throw away what they have. In Chat there is no such event.
    if (codec.dialect !== "chat" && events.some((one) => one.type === "start")) {
      if (begun) return "";
      begun = true;
    }
    const error = events.find((one) => one.type === "error");
    if (error === undefined) return null;
    // In its place: the number of the upstream's event is not used up.
    const rewrites = mustRewrite(codec.dialect, error.fault, event) || !mayPass(keyed, event);
    return rewrites ? fail(toldFault(keyed, error.fault)) : pass(event);
  };
  const common = {
    read: (event: SseEvent) => reader.read(event),
    terminal: () => terminals[codec.dialect],
    ping: () => identity?.ping() ?? pings[codec.dialect],
    fail,
  };
  if (keyed.handOver === undefined) {
    return { ...common, render: (event, events) => instead(event, events) ?? pass(event) };
  }
  const gate = new CallGate();
  const follower = codec.createFollower();
  const shown = new Shown();
  return {
    ...common,
    render: (event, events) => {
      const other = instead(event, events);
      if (other !== null) return other;
      let text = "";
      for (const passed of gate.pass(event, events)) {
        shown.see(passed.events);
        follower.see(passed.event, passed.events);
        text += pass(passed.event);
      }
      return text;
    },
    waits: () => gate.holds,
    standing: () => {
      const writer = resumedWriter(() => follower.resume(answerContext(), identity?.next().sequence ?? 0));
      return writer === null ? null : { shown, writer };
    },
  };
}

/** Null: nobody else can go on behind what is open, or with this request. */
function resumedWriter(resume: () => StreamWriter | null): StreamWriter | null {
  try {
    return resume();
  } catch (error) {
    // What the vendor took we can't translate.
    if (error instanceof GatewayError) return null;
    throw error;
  }
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
  const common = {
    read: (event: SseEvent) => reader.read(event),
    release: (events: readonly NeutralEvent[]) => hold?.release(events) ?? events,
    terminal: () => written(writer, hold?.release(ended) ?? ended, keyed),
    ping: () => writer.ping(),
    fail: (fault: UpstreamFault) => writer.fail(fault),
  };
  if (keyed.handOver === undefined) return { ...common, render: (_, events) => written(writer, events, keyed) };
  const shown = new Shown();
  return {
    ...common,
    render: (_, events) => {
      shown.see(events);
      return written(writer, events, keyed);
    },
    standing: () => ({ shown, writer }),
  };
}

const ended: readonly NeutralEvent[] = [{ type: "end" }];

function written(writer: StreamWriter, events: readonly NeutralEvent[], keyed: Keyed): string {
  let text = "";
  for (const event of events)
    text += event.type === "error" ? writer.fail(toldFault(keyed, event.fault)) : writer.write(event);
  return text;
}
