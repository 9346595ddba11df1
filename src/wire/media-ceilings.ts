// How many prompt tokens a request can cost at most, without a tokeniser: one token is at least one byte of text, so the
// body's UTF-8 bytes bound the text; media are billed by their size in pixels or pages, so each item counts a ceiling
// instead of its base64 characters.

import type { Json, JsonObject } from "./neutral.ts";

/**
 * One image. Anthropic bills at most about 4,800 tokens (docs "Vision", high resolution), OpenAI's tile and patch
 * counters stay below 4,000 at detail `high` (docs "Images and vision", gpt-4o-mini aside, whose inflated count is
 * offset by its price).
 */
export const IMAGE_TOKENS = 8_000;
/** One image at OpenAI's detail `original`: up to 10,000 patches. */
export const ORIGINAL_IMAGE_TOKENS = 16_000;
/**
 * One PDF or other document: 1,500 to 5,000 tokens a page and up to 600 pages (Anthropic docs "PDF support"), which a
 * few compressed kilobytes can hold. So it is the largest window there is; whoever knows the candidate's own window takes
 * the lesser of the two.
 */
export const DOCUMENT_TOKENS = 1_000_000;
/** Audio is billed by duration: ten tokens a second, and the thinnest codec needs more than 100 characters for a tenth of one. */
export const AUDIO_CHARACTERS_PER_TOKEN = 10;

export interface MediaSurvey {
  /** Base64 characters that are media, so that they are no text. */
  base64Characters: number;
  /** Sum of the ceilings. */
  tokens: number;
  images: number;
  documents: number;
}

/**
 * Upper bound of the prompt's tokens for a request body of any dialect. `bodyBytes` is the length of the body as it came.
 */
export function inputBound(body: JsonObject, bodyBytes: number): number {
  return inputBoundWith(surveyMedia(body), bodyBytes);
}

/** The same, where the survey is at hand. */
export function inputBoundWith(survey: MediaSurvey, bodyBytes: number): number {
  return Math.max(0, bodyBytes - survey.base64Characters) + survey.tokens;
}

/**
 * Finds the media of a request body. Only places where a vendor reads media are searched: what looks like media inside
 * the arguments of a tool call or inside a text is text to the vendor, and must be billed as such.
 */
export function surveyMedia(body: JsonObject): MediaSurvey {
  const survey: MediaSurvey = { base64Characters: 0, tokens: 0, images: 0, documents: 0 };
  surveyParts(body["messages"], survey);
  surveyParts(body["input"], survey);
  return survey;
}

/** Messages, items and parts alike: an array of objects, whose own parts are under `content` or `output`. */
function surveyParts(value: Json | undefined, survey: MediaSurvey): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const part of value) surveyParts(part, survey);
    return;
  }
  surveyPart(value, survey);
  if (typeof value["content"] === "object") surveyParts(value["content"], survey);
  if (typeof value["output"] === "object") surveyParts(value["output"], survey);
}

function surveyPart(part: JsonObject, survey: MediaSurvey): void {
  const type = part["type"];
  if (typeof type !== "string") return;
  switch (type) {
    case "image": // Messages
      addImage(sourceData(part["source"]), undefined, survey);
      return;
    case "image_url": // Chat
      addImage(imageUrlOf(part), detailOf(part), survey);
      return;
    case "input_image": // Responses
    case "computer_screenshot":
      addImage(imageUrlOf(part), part["detail"], survey);
      return;
    case "image_generation_call": // Responses: the picture is in `result` as bare base64
      addImage(part["result"], undefined, survey);
      return;
    case "document": // Messages: text sources are text, content sources hold blocks
      surveyDocument(part["source"], survey);
      return;
    case "input_file": // Responses
      addDocument(part["file_data"], survey);
      return;
    case "file": // Chat
      addDocument(member(part["file"], "file_data"), survey);
      return;
    case "input_audio": // Chat
      addAudio(member(part["input_audio"], "data"), survey);
      return;
    default:
      if (refersElsewhere(type, part)) addDocument(undefined, survey);
  }
}

const references = ["file_id", "file_url", "url", "uri", "video_url", "audio_url"];

/** What a part of a type that is not known here brings in from elsewhere may be as long as a document. */
function refersElsewhere(type: string, part: JsonObject): boolean {
  // Results of a vendor's search tell where they were found; their text is in the body.
  if (type.startsWith("web_search") || type.startsWith("web_fetch") || type === "url_citation") return false;
  return references.some((name) => {
    const value = part[name];
    return value !== undefined && value !== null && value !== "";
  });
}

function surveyDocument(source: Json | undefined, survey: MediaSurvey): void {
  const type = member(source, "type");
  if (type === "content") surveyParts(member(source, "content"), survey);
  else if (type !== "text") addDocument(sourceData(source), survey);
}

function addImage(data: Json | undefined, detail: Json | undefined, survey: MediaSurvey): void {
  survey.images += 1;
  survey.tokens += detail === "original" ? ORIGINAL_IMAGE_TOKENS : IMAGE_TOKENS;
  survey.base64Characters += mediaCharacters(data);
}

function addDocument(data: Json | undefined, survey: MediaSurvey): void {
  survey.documents += 1;
  survey.tokens += DOCUMENT_TOKENS;
  survey.base64Characters += mediaCharacters(data);
}

function addAudio(data: Json | undefined, survey: MediaSurvey): void {
  const characters = mediaCharacters(data);
  survey.tokens += Math.ceil(characters / AUDIO_CHARACTERS_PER_TOKEN);
  survey.base64Characters += characters;
}

/** A URL stays in the text: it is short, and to leave it in can only raise the bound. */
function mediaCharacters(data: Json | undefined): number {
  if (typeof data !== "string" || data.startsWith("http:") || data.startsWith("https:")) return 0;
  return data.length;
}

function sourceData(source: Json | undefined): Json | undefined {
  return member(source, "type") === "base64" ? member(source, "data") : undefined;
}

function imageUrlOf(part: JsonObject): Json | undefined {
  const url = part["image_url"];
  return typeof url === "string" ? url : member(url, "url");
}

function detailOf(part: JsonObject): Json | undefined {
  return member(part["image_url"], "detail");
}

function member(value: Json | undefined, key: string): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value[key] : undefined;
}
