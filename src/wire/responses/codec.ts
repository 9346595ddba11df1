import type { Codec } from "../neutral.ts";
import { answerFromNeutral, answerToNeutral, usageOf } from "./answer.ts";
import { facts } from "./facts.ts";
import { parseError } from "./faults.ts";
import { patchAnswer, patchEvent, patchRequest } from "./passthrough.ts";
import { fromNeutral } from "./request-from-neutral.ts";
import { toNeutral } from "./request-to-neutral.ts";
import { ResponsesFollower } from "./stream-follower.ts";
import { createReader } from "./stream-reader.ts";
import { createWriter } from "./stream-writer.ts";

/** The OpenAI Responses dialect (OpenAI API reference, "Responses" and "Streaming events"). */
export const responsesCodec: Codec = {
  dialect: "responses",
  facts,
  toNeutral,
  fromNeutral,
  answerToNeutral,
  answerFromNeutral,
  usageOf,
  createReader,
  createWriter: (context) => createWriter(context),
  createFollower: () => new ResponsesFollower(),
  patchRequest,
  patchEvent,
  patchAnswer,
  parseError,
};
