// What is kept of one request's prompt and answer: their hashes, and with `content: full` themselves.

import { createHash } from "node:crypto";
import type { Part } from "./content-file.ts";
import { StreamRedactor } from "./stream-redactor.ts";

/** What the line says of them. */
export interface ContentFacts {
  /** `sha256:…`; null: there was none, or it was never read. */
  readonly request: string | null;
  readonly answer: string | null;
  /** With `content: full`: where they are. Null: they could not be kept. Absent: there was nothing to keep. */
  readonly kept?: { readonly file: string; readonly from: number; readonly to: number } | null;
  /** A secret was taken out of what is kept; the hashes are of what is kept. */
  readonly redacted?: boolean;
}

export interface ContentRecording {
  request(bytes: Uint8Array): void;
  /** The answer's next piece, as the client gets it. */
  answer(bytes: Uint8Array): void;
  /** Nothing more comes. All of it is out of the process by then. */
  finish(): ContentFacts;
}

export interface ContentRecorder {
  /** Nothing can be kept now. Cheap: asked for every request. */
  readonly faulty: boolean;
  begin(id: string): ContentRecording;
}

/** `content: sha256`. */
export const hashesOnly: ContentRecorder = { faulty: false, begin: () => new HashRecording() };

class HashRecording implements ContentRecording {
  #request: string | null = null;
  #answer: ReturnType<typeof createHash> | null = null;

  request(bytes: Uint8Array): void {
    this.#request = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  }

  answer(bytes: Uint8Array): void {
    this.#answer ??= createHash("sha256");
    this.#answer.update(bytes);
  }

  finish(): ContentFacts {
    return { request: this.#request, answer: this.#answer === null ? null : `sha256:${this.#answer.digest("hex")}` };
  }
}

/** One file as a recording sees it. */
export interface FrameWriter {
  readonly name: string;
  /** Writes one piece; returns where it begins and ends in the file, or null where it cannot be written. */
  write(part: Part, id: string, data: Uint8Array): { readonly from: number; readonly to: number } | null;
  /** The recording has ended. */
  leave(): void;
}

/** `content: full`. `writer` null: there is nowhere to write. */
export class FullRecording implements ContentRecording {
  readonly #id: string;
  readonly #writer: FrameWriter | null;
  readonly #redact: (text: string) => string;
  readonly #pieceBytes: number;
  #request: string | null = null;
  #answerHash: ReturnType<typeof createHash> | null = null;
  #answer: StreamRedactor | null = null;
  #redacted = false;
  #from: number | null = null;
  #to = 0;
  #lost: boolean;
  #finished = false;

  constructor(
    id: string,
    writer: FrameWriter | null,
    parts: { readonly redact: (text: string) => string; readonly pieceBytes: number },
  ) {
    this.#id = id;
    this.#writer = writer;
    this.#redact = parts.redact;
    this.#pieceBytes = parts.pieceBytes;
    this.#lost = writer === null;
  }

  request(bytes: Uint8Array): void {
    const text = new TextDecoder().decode(bytes);
    const clean = this.#redact(text);
    const kept = clean === text ? bytes : Buffer.from(clean);
    if (clean !== text) this.#redacted = true;
    this.#request = `sha256:${createHash("sha256").update(kept).digest("hex")}`;
    this.#write("request", kept);
  }

  answer(bytes: Uint8Array): void {
    if (this.#finished) return;
    this.#answer ??= new StreamRedactor(this.#redact);
    this.#answerHash ??= createHash("sha256");
    this.#keepAnswer(this.#answer.take(bytes));
  }

  finish(): ContentFacts {
    this.#finished = true;
    if (this.#answer !== null) this.#keepAnswer(this.#answer.end());
    this.#writer?.leave();
    return {
      request: this.#request,
      answer: this.#answerHash === null ? null : `sha256:${this.#answerHash.digest("hex")}`,
      ...this.#place(),
      ...((this.#redacted || this.#answer?.changed === true) && { redacted: true }),
    };
  }

  #place(): Pick<ContentFacts, "kept"> {
    if (this.#lost || this.#writer === null) return { kept: null };
    return this.#from === null ? {} : { kept: { file: this.#writer.name, from: this.#from, to: this.#to } };
  }

  #keepAnswer(text: string): void {
    if (text === "") return;
    const bytes = Buffer.from(text);
    this.#answerHash!.update(bytes);
    this.#write("answer", bytes);
  }

  #write(part: Part, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#lost; at += this.#pieceBytes) {
      const place = this.#writer!.write(part, this.#id, bytes.subarray(at, at + this.#pieceBytes));
      if (place === null) {
        this.#lost = true;
        return;
      }
      this.#from ??= place.from;
      this.#to = place.to;
    }
  }
}
