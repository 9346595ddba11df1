// A port for two processes, for the moments of a hand-over. A listening socket of this process is opened for a second one of
// the same user (SO_REUSEPORT) only while it is asked for, and closed for others again afterwards: whoever shares a port
// gets a part of what clients send there, tokens too.

import { dlopen, ptr, type Pointer } from "bun:ffi";

/** socket(7), and its counterparts in macOS's sys/socket.h. */
const constants =
  process.platform === "darwin"
    ? { library: "libSystem.B.dylib", SOL_SOCKET: 0xffff, SO_REUSEPORT: 0x200, SO_ACCEPTCONN: 0x2, attach: null }
    : { library: "libc.so.6", SOL_SOCKET: 1, SO_REUSEPORT: 15, SO_ACCEPTCONN: 30, attach: 51 };
const SO_DETACH_REUSEPORT_BPF = 68;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
/** linux/filter.h: BPF_RET | BPF_K. */
const BPF_RETURN = 0x06;
/** What a process of ours has open at most, as far as it is looked for. */
const mostDescriptors = 65_536;

interface Libc {
  getsockopt(fd: number, level: number, name: number, value: Pointer, size: Pointer): number;
  setsockopt(fd: number, level: number, name: number, value: Pointer, size: number): number;
  getsockname(fd: number, address: Pointer, size: Pointer): number;
  socket(family: number, kind: number, protocol: number): number;
  dup2(from: number, to: number): number;
  close(fd: number): number;
}

let known: Libc | null | undefined;

/** Null: this system gives no access to its sockets. */
function libc(): Libc | null {
  if (known !== undefined) return known;
  try {
    const { symbols } = dlopen(constants.library, {
      getsockopt: { args: ["int", "int", "int", "ptr", "ptr"], returns: "int" },
      setsockopt: { args: ["int", "int", "int", "ptr", "u32"], returns: "int" },
      getsockname: { args: ["int", "ptr", "ptr"], returns: "int" },
      socket: { args: ["int", "int", "int"], returns: "int" },
      dup2: { args: ["int", "int"], returns: "int" },
      close: { args: ["int"], returns: "int" },
    });
    known = symbols as unknown as Libc;
  } catch {
    // Another C library, or memory that may not be made executable.
    known = null;
  }
  return known;
}

/** Where a port can be shared for a moment. */
export function canShare(): boolean {
  return libc() !== null && process.platform !== "win32";
}

/** `host` and `port` as the socket has them: an IP address, and never 0. */
export interface BoundTo {
  readonly host: string;
  readonly port: number;
}

export class SharedPort {
  readonly #calls: Libc;
  readonly #descriptor: number;

  private constructor(calls: Libc, descriptor: number) {
    this.#calls = calls;
    this.#descriptor = descriptor;
  }

  /** The listening socket of this process at this address; null: there is none, or it can't be reached. */
  static find(bound: BoundTo): SharedPort | null {
    const calls = libc();
    if (calls === null) return null;
    const wanted = addressBytes(bound.host);
    for (let fd = 3, misses = 0; fd < mostDescriptors && misses < 256; fd++) {
      const listens = intOption(calls, fd, constants.SO_ACCEPTCONN);
      // Descriptors are given from the lowest on: a long gap means that there are no more.
      if (listens === null) misses++;
      else misses = 0;
      if (listens !== 1) continue;
      const found = boundTo(calls, fd);
      if (found !== null && found.port === bound.port && found.address === wanted) return new SharedPort(calls, fd);
    }
    return null;
  }

  /** Lets another process of the same user listen here too. False: the system refuses. */
  open(): boolean {
    return this.#setOption(constants.SO_REUSEPORT, 1);
  }

  /** Lets nobody in any more; who listens stays. */
  close(bound: BoundTo): void {
    this.#setOption(constants.SO_REUSEPORT, 0);
    forgetSharing(bound);
  }

  /**
   * Lets all new connections go to one of those that listen, counted from 0 in the order in which they began. False: this
   * system spreads them by itself.
   */
  steer(to: number): boolean {
    if (constants.attach === null) return false;
    // struct sock_filter { code, jt, jf, k } and struct sock_fprog { len, filter }.
    const instruction = new Uint8Array(8);
    const filter = new DataView(instruction.buffer);
    filter.setUint16(0, BPF_RETURN, true);
    filter.setUint32(4, to, true);
    const program = new Uint8Array(16);
    const head = new DataView(program.buffer);
    head.setUint16(0, 1, true);
    head.setBigUint64(8, BigInt(ptr(instruction)), true);
    const { SOL_SOCKET, attach } = constants;
    return this.#calls.setsockopt(this.#descriptor, SOL_SOCKET, attach, ptr(program), program.length) === 0;
  }

  /** The end of `steer`. */
  spread(): void {
    if (constants.attach !== null) this.#setOption(SO_DETACH_REUSEPORT_BPF, 0);
  }

  /**
   * Stops listening without touching the server that the socket belongs to: connections that it has go on, idle ones too,
   * which `Server.stop` would close under a client that is just writing. The descriptor stays taken by a socket that does
   * nothing. What waits to be accepted is lost: new connections must have gone elsewhere for a moment before.
   */
  leave(): boolean {
    const idle = this.#calls.socket(AF_UNIX, SOCK_STREAM, 0);
    if (idle < 0) return false;
    const done = this.#calls.dup2(idle, this.#descriptor) >= 0;
    this.#calls.close(idle);
    return done;
  }

  #setOption(name: number, value: number): boolean {
    const bytes = new Int32Array([value]);
    return this.#calls.setsockopt(this.#descriptor, constants.SOL_SOCKET, name, ptr(bytes), bytes.byteLength) === 0;
  }
}

function intOption(calls: Libc, fd: number, name: number): number | null {
  const value = new Int32Array(1);
  const size = new Uint32Array([value.byteLength]);
  return calls.getsockopt(fd, constants.SOL_SOCKET, name, ptr(value), ptr(size)) === 0 ? value[0]! : null;
}

/** struct sockaddr_in and sockaddr_in6: the port is at byte 2 in network order, the address at 4 or 8. */
function boundTo(calls: Libc, fd: number): { readonly port: number; readonly address: string } | null {
  const bytes = new Uint8Array(128);
  const size = new Uint32Array([bytes.byteLength]);
  if (calls.getsockname(fd, ptr(bytes), ptr(size)) !== 0) return null;
  const view = new DataView(bytes.buffer);
  if (size[0] === 16) return { port: view.getUint16(2), address: Buffer.from(bytes.subarray(4, 8)).toString("hex") };
  if (size[0] === 28) return { port: view.getUint16(2), address: Buffer.from(bytes.subarray(8, 24)).toString("hex") };
  return null;
}

/** An IP address as the hexadecimal digits of its bytes; anything else gives what no socket has. */
export function addressBytes(host: string): string {
  const bare = host.replace(/^\[|\]$/g, "");
  if (/^\d+\.\d+\.\d+\.\d+$/.test(bare)) {
    return bare
      .split(".")
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join("");
  }
  if (!bare.includes(":")) return "";
  const [head = "", tail] = bare.split("::");
  const groups = (text: string): string[] =>
    (text === "" ? [] : text.split(":")).map((group) => group.padStart(4, "0"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  return [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0000"), ...after].join("");
}

/**
 * Linux keeps a port shareable once it was shared, whatever its sockets say later, until somebody takes it unshared
 * (inet_csk_update_fastreuse): another loopback address does, for a moment.
 */
function forgetSharing({ host, port }: BoundTo): void {
  if (process.platform !== "linux") return;
  for (const other of ["127.83.67.80", ...(host.includes(":") ? [] : ["::1"])]) {
    try {
      const socket = { data: () => undefined };
      Bun.listen({ hostname: other, port, socket }).stop(true);
      return;
    } catch {
      // A listener on all addresses is in the way: its port stays shareable by this user until the last one leaves.
    }
  }
}
