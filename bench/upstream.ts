// The scripted upstream, a process of its own: answers at once with ready-made bytes, or streams stamped events at a
// fixed pace. Started and told what to do by the runner (jobs.ts); ends with it.

import type { Socket } from "bun";
import { burst, jsonAnswer, streamScript, type Spoken, type StreamScript } from "./answers.ts";
import { HttpMessageReader } from "./http-message.ts";
import type { UpstreamMode, UpstreamOrder, UpstreamReply } from "./jobs.ts";
import { createMachineClock } from "./machine-clock.ts";

const clock = createMachineClock();
const answers: Readonly<Record<Spoken, Buffer>> = { chat: jsonAnswer("chat"), messages: jsonAnswer("messages") };
const scripts: Readonly<Record<Spoken, StreamScript>> = {
  chat: streamScript("chat"),
  messages: streamScript("messages"),
};

interface Connection {
  readonly reader: HttpMessageReader;
  /** What the kernel did not take yet. */
  unsent: Buffer | null;
  stream: PacedStream | null;
}

interface PacedStream {
  readonly socket: Socket<Connection>;
  readonly script: StreamScript;
  readonly intervalMs: number;
  eventsLeft: number;
}

let mode: UpstreamMode = { kind: "json" };
let bursts: Readonly<Record<Spoken, Buffer>> | null = null;
let requests = 0;

/** Streams by the millisecond in which their next event is due: one timer for all of them. */
const wheel: PacedStream[][] = Array.from({ length: 1_024 }, () => []);
let turned = Math.floor(performance.now());

function schedule(stream: PacedStream, fromMs: number): void {
  wheel[(fromMs + stream.intervalMs) % wheel.length]!.push(stream);
}

function turn(): void {
  const now = Math.floor(performance.now());
  for (; turned < now; turned++) {
    const slot = turned % wheel.length;
    const due = wheel[slot]!;
    if (due.length === 0) continue;
    wheel[slot] = [];
    for (const stream of due) writeEvent(stream, turned);
  }
}

function writeEvent(stream: PacedStream, dueMs: number): void {
  if (stream.socket.data.stream !== stream) return;
  if (stream.eventsLeft === 0) {
    stream.socket.data.stream = null;
    write(stream.socket, Buffer.from(stream.script.closing, "latin1"));
    return;
  }
  stream.eventsLeft--;
  write(stream.socket, Buffer.from(stream.script.event(clock()), "latin1"));
  schedule(stream, dueMs);
}

function write(socket: Socket<Connection>, bytes: Buffer): void {
  const connection = socket.data;
  if (connection.unsent !== null) {
    connection.unsent = Buffer.concat([connection.unsent, bytes]);
    return;
  }
  const sent = socket.write(bytes);
  if (sent < bytes.length) connection.unsent = Buffer.from(bytes.subarray(Math.max(0, sent)));
}

function drain(socket: Socket<Connection>): void {
  const { unsent } = socket.data;
  socket.data.unsent = null;
  if (unsent !== null) write(socket, unsent);
}

function answer(socket: Socket<Connection>): void {
  requests++;
  const line = socket.data.reader.head;
  const spoken: Spoken = line.includes("/chat/completions ") ? "chat" : "messages";
  if (mode.kind === "json") {
    write(socket, answers[spoken]);
    return;
  }
  if (bursts !== null) {
    write(socket, bursts[spoken]);
    return;
  }
  const stream: PacedStream = {
    socket,
    script: scripts[spoken],
    intervalMs: mode.intervalMs,
    eventsLeft: mode.events,
  };
  socket.data.stream = stream;
  write(socket, Buffer.from(stream.script.opening, "latin1"));
  schedule(stream, Math.floor(performance.now()));
}

const listener = Bun.listen<Connection>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open(socket) {
      socket.setNoDelay(true);
      socket.data = { reader: new HttpMessageReader(), unsent: null, stream: null };
    },
    data(socket, bytes) {
      if (socket.data.reader.push(bytes)) answer(socket);
    },
    drain,
    close(socket) {
      socket.data.stream = null;
    },
    error(socket) {
      socket.terminate();
    },
  },
});

function reply(message: UpstreamReply): void {
  process.send!(message);
}

process.on("message", (order: UpstreamOrder) => {
  if (order.order === "mode") {
    ({ mode } = order);
    bursts =
      mode.kind === "stream" && mode.intervalMs === 0
        ? { chat: burst("chat", mode.events), messages: burst("messages", mode.events) }
        : null;
    requests = 0;
  }
  reply({ reply: "done", requests });
});
process.on("disconnect", () => process.exit(0));
setInterval(turn, 1);
reply({ reply: "ready", port: listener.port });
