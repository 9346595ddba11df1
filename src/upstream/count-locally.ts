import type { GatewayResponse, Planned } from "../request.ts";
import { DOCUMENT_TOKENS, surveyMedia } from "../wire/media-ceilings.ts";
import { jsonHeaders } from "./headers.ts";
import type { TokenRatios } from "./token-ratios.ts";

/** A page of a PDF is 1,500 to 5,000 tokens and seldom less than 10 KB; a ceiling for money would fill any window. */
const documentCharactersPerToken = 10;
const leastDocumentTokens = 5_000;

/** Tokens a character: of words, of digits and signs (numbers and JSON have many), of other scripts. */
const inWords = 1 / 5;
const inSigns = 2 / 3;
const inOthers = 1;
/** Characters that are looked at, evenly spread: enough to tell what kind of text it is. */
const mostSamples = 65_536;

/**
 * The token count where no upstream can be asked: on the high side, so that a client that trusts it does not
 * overrun a window. A missing answer would make Claude Code count even more roughly by itself. All of the body counts
 * (instructions, tools and their schemas, calls, results, thinking), and nothing that is not in it.
 */
export function countLocally(request: Planned, ratios: TokenRatios): GatewayResponse {
  const { base64Characters, tokens, documents } = surveyMedia(request.body);
  const text = Math.max(0, request.record.bytesIn - base64Characters);
  const media = tokens - documents * DOCUMENT_TOKENS + documentTokens(documents, base64Characters);
  const learnt = ratios.tokens(request.candidates[0]!, text);
  // What was learnt from prose is too little for numbers. Base64 would look like words.
  const counted = (base64Characters > 0 ? learnt : Math.max(learnt, byKind(request.text))) + media;
  const answer = JSON.stringify({ input_tokens: counted });
  const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: answer.length });
  return { status: 200, headers: { ...jsonHeaders }, body: answer, finished };
}

function documentTokens(documents: number, characters: number): number {
  if (documents === 0) return 0;
  const bySize = Math.ceil(characters / documentCharactersPerToken);
  return Math.min(documents * DOCUMENT_TOKENS, Math.max(documents * leastDocumentTokens, bySize));
}

function byKind(text: string): number {
  const step = Math.max(1, Math.floor(text.length / mostSamples));
  let tokens = 0;
  for (let at = 0; at < text.length; at += step) {
    const code = text.charCodeAt(at);
    if (code >= 128) tokens += inOthers;
    else tokens += isWord(code) ? inWords : inSigns;
  }
  return Math.ceil(tokens * step);
}

/** A letter or a space. */
function isWord(code: number): boolean {
  const lower = code | 32;
  return code === 32 || (lower >= 97 && lower <= 122);
}
