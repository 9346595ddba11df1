// The connection stays, and nothing (or nothing that counts) comes any more.

import { headText } from "../../fakes/connection.ts";
import type { RawAct } from "../../fakes/raw-acts.ts";
import { chunk } from "../../fakes/play.ts";
import { soon, type Fault } from "../fault.ts";
import { fateOf, phaseAfter } from "../oracle.ts";
import { bytesOf, jsonHead, shareOf, streamed, type Wire } from "../wire.ts";

const silence: RawAct = { end: "silence" };
const contentSoon = { first_content: soon, idle: soon };
const comment: RawAct = { repeat: chunk(": still here\n\n") };
export function stalls(wire: Wire): Fault[] {
  const head = fateOf(wire, "stall", "head");
  const timeouts = { first_byte: soon };
  const inHead: readonly [string, RawAct[]][] = [
    ["stall in the status line", [{ write: "HTTP/1.1 2" }, silence]],
    ["stall in the headers", [{ write: "HTTP/1.1 200 OK\r\ncontent-type: te" }, silence]],
    ["headers without end", [{ write: "HTTP/1.1 200 OK\r\n" }, { repeat: "x" }]],
    ["stall behind a 103", [{ write: "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" }, silence]],
    ["103 without end", [{ repeat: "HTTP/1.1 103 Early Hints\r\n\r\n" }]],
  ];
  return [
    ...inHead.map(([row, raw]) => ({ row, fate: head, timeouts, step: () => ({ raw }) })),
    ...(wire.stream ? inStream(wire) : inBody(wire)),
  ];
}

function inBody(wire: Wire): Fault[] {
  const body = fateOf(wire, "stall", "in content");
  const half = wire.json.slice(0, wire.json.length / 2);
  const length = Buffer.byteLength(wire.json);
  const chunked = headText(200, { "content-type": "application/json", "transfer-encoding": "chunked" });
  const acts: readonly [string, RawAct[]][] = [
    ["stall behind the headers", [{ write: jsonHead(length) }, silence]],
    ["stall in mid-content", [{ write: jsonHead(length) + half }, silence]],
    ["stall before the last byte", [{ write: jsonHead(length + 1) + wire.json }, silence]],
    ["blanks without end", [{ write: chunked }, { repeat: chunk(" ") }]],
  ];
  return acts.map(([row, raw]) => ({ row, fate: body, timeouts: contentSoon, sent: 1, step: () => ({ raw }) }));
}

function inStream(wire: Wire): Fault[] {
  const at = (row: string, count: number, ...rest: readonly RawAct[]): Fault => ({
    row,
    fate: fateOf(wire, "stall", phaseAfter(wire, count)),
    timeouts: contentSoon,
    sent: shareOf(wire, count),
    step: () => ({ raw: streamed(bytesOf(wire.events, count), ...rest) }),
  });
  const middle = Math.floor((wire.first + wire.done) / 2);
  const keepAlive: RawAct = { repeat: chunk(keepAliveOf(wire)) };
  return [
    at("stall behind the headers", 0, silence),
    at("stall behind the first event", 1, silence),
    at("stall before the first content", wire.first, silence),
    at("stall in mid-content", middle, silence),
    at("stall before the reason to stop", wire.stop, silence),
    at("stall before the terminal event", wire.last, silence),
    at("stall behind the terminal event", wire.last + 1, silence),
    at("comments without end, no content", 0, comment),
    at("comments without end in mid-content", middle, comment),
    at("comments without end behind the terminal event", wire.last + 1, comment),
    at("keep-alives without end, no content", 1, keepAlive),
    at("keep-alives without end in mid-content", middle, keepAlive),
  ];
}

function keepAliveOf({ dialect }: Wire): string {
  if (dialect === "messages") return 'event: ping\ndata: {"type":"ping"}\n\n';
  if (dialect === "chat") return ": OPENROUTER PROCESSING\n\n";
  const data = '{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_fake7","object":"response"}}';
  return `event: response.in_progress\ndata: ${data}\n\n`;
}
