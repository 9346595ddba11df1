// Where providers are that can't be spoken to, and those that speak TLS.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blackHole } from "../fakes/black-hole.ts";
import { FakeProvider, type ProviderOptions } from "../fakes/provider.ts";
import {
  caCertificate,
  expiredCertificate,
  goodCertificate,
  otherNamesCertificate,
  serverKey,
} from "../fakes/tls-certificates.ts";
import type { Place } from "./fault.ts";

export class Places implements AsyncDisposable {
  readonly caFile: string;
  readonly #urls: Readonly<Record<Place, string>>;
  readonly #ends: readonly (() => unknown)[];
  readonly #providers: readonly FakeProvider[];

  private constructor(
    urls: Readonly<Record<Place, string>>,
    caFile: string,
    ends: readonly (() => unknown)[],
    providers: readonly FakeProvider[],
  ) {
    this.#urls = urls;
    this.caFile = caFile;
    this.#ends = ends;
    this.#providers = providers;
  }

  /** `scripted` plays its steps at every place that can be spoken to. */
  static async start(scripted: ProviderOptions): Promise<Places> {
    const folder = mkdtempSync(join(tmpdir(), "sanctum-faults-"));
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, caCertificate);
    const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
    const providers: FakeProvider[] = [];
    const provider = async (cert?: string): Promise<string> => {
      const tls = cert === undefined ? {} : { tls: { cert, key: serverKey } };
      const one = await FakeProvider.start({ ...scripted, ...tls });
      providers.push(one);
      ends.push(() => one[Symbol.asyncDispose]());
      return one.url;
    };
    const bare = async (scheme: string, take: (socket: Socket) => void): Promise<string> => {
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        take(socket);
      });
      ends.push(() => server.close());
      return `${scheme}://127.0.0.1:${await portOf(server)}`;
    };
    const upon = (act: (socket: Socket) => void) => (socket: Socket) => void socket.once("data", () => act(socket));
    const good = await provider(goodCertificate);
    const urls: Record<Place, string> = {
      scripted: await provider(),
      refused: `http://127.0.0.1:${await freePort()}`,
      "reset at once": await bare("http", (socket) => socket.resetAndDestroy()),
      "black hole": await blackHole(ends),
      // No name server is asked: a label has 63 characters at most.
      "no such host": `https://${"a".repeat(64)}.example`,
      "speaks no TLS": await bare("https", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      "own CA": good,
      "unknown CA": good,
      "other names": await provider(otherNamesCertificate),
      expired: await provider(expiredCertificate),
      "handshake closed": await bare(
        "https",
        upon((socket) => socket.end()),
      ),
      "handshake reset": await bare(
        "https",
        upon((socket) => socket.resetAndDestroy()),
      ),
      "handshake silent": await bare("https", () => undefined),
    };
    return new Places(urls, caFile, ends, providers);
  }

  urlOf(place: Place): string {
    return this.#urls[place];
  }

  /** In the configuration: who signs what is spoken to there. */
  trusts(place: Place): { readonly ca_file: string } | undefined {
    return ["own CA", "other names", "expired"].includes(place) ? { ca_file: this.caFile } : undefined;
  }

  /** Thousands of requests need not be kept. */
  forget(): void {
    for (const provider of this.#providers) provider.requests.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

async function portOf(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await portOf(server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
  return port;
}
