import { describe, expect, test } from "bun:test";
import {
  AUDIO_CHARACTERS_PER_TOKEN,
  DOCUMENT_TOKENS,
  IMAGE_TOKENS,
  inputBound,
  ORIGINAL_IMAGE_TOKENS,
  surveyMedia,
} from "./media-ceilings.ts";
import type { Json, JsonObject } from "./neutral.ts";

const data = "A".repeat(10_000);
const url = `data:image/png;base64,${data}`;
const message = (...content: Json[]): JsonObject => ({ messages: [{ role: "user", content }] });
const item = (...content: Json[]): JsonObject => ({ input: [{ type: "message", role: "user", content }] });

/** What the bound adds to the body's bytes, and how many characters it leaves out. */
function counted(body: JsonObject): { tokens: number; left: number } {
  const survey = surveyMedia(body);
  return { tokens: survey.tokens, left: survey.base64Characters };
}

describe("media count a ceiling instead of their base64 characters", () => {
  test("images of all three dialects", () => {
    const source = { type: "base64", media_type: "image/png", data };
    expect(counted(message({ type: "image", source }))).toEqual({ tokens: IMAGE_TOKENS, left: data.length });
    expect(counted(message({ type: "image_url", image_url: { url } }))).toEqual({
      tokens: IMAGE_TOKENS,
      left: url.length,
    });
    expect(counted(item({ type: "input_image", image_url: url }))).toEqual({ tokens: IMAGE_TOKENS, left: url.length });
  });

  test("an image in full detail counts more", () => {
    expect(counted(item({ type: "input_image", image_url: url, detail: "original" })).tokens).toBe(
      ORIGINAL_IMAGE_TOKENS,
    );
  });

  test("documents of all three dialects, each a whole window", () => {
    const source = { type: "base64", media_type: "application/pdf", data };
    const each = { tokens: DOCUMENT_TOKENS, left: data.length };
    expect(counted(message({ type: "document", source }))).toEqual(each);
    expect(counted(message({ type: "file", file: { file_data: data } }))).toEqual(each);
    expect(counted(item({ type: "input_file", file_data: data }))).toEqual(each);
  });

  test("B7: what is named by URL or file id counts the same, though the body is short", () => {
    expect(counted(message({ type: "image", source: { type: "url", url: "https://example.com/a.png" } }))).toEqual({
      tokens: IMAGE_TOKENS,
      left: 0,
    });
    expect(counted(item({ type: "input_image", image_url: "https://example.com/a.png" }))).toEqual({
      tokens: IMAGE_TOKENS,
      left: 0,
    });
    expect(counted(item({ type: "input_file", file_id: "f" })).tokens).toBe(DOCUMENT_TOKENS);
    expect(counted(message({ type: "document", source: { type: "file", file_id: "f" } })).tokens).toBe(DOCUMENT_TOKENS);
  });

  test("audio counts by its length", () => {
    expect(counted(message({ type: "input_audio", input_audio: { data } })).tokens).toBe(
      data.length / AUDIO_CHARACTERS_PER_TOKEN,
    );
  });

  test("media inside tool results and inside documents of blocks", () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data } };
    expect(counted(message({ type: "tool_result", content: [image, image] })).tokens).toBe(2 * IMAGE_TOKENS);
    expect(counted(message({ type: "document", source: { type: "content", content: [image] } })).tokens).toBe(
      IMAGE_TOKENS,
    );
    const output = { type: "function_call_output", output: [{ type: "input_image", image_url: url }] };
    expect(counted({ input: [output] }).tokens).toBe(IMAGE_TOKENS);
    const shot = { type: "computer_call_output", output: { type: "computer_screenshot", image_url: url } };
    expect(counted({ input: [shot] }).tokens).toBe(IMAGE_TOKENS);
  });
});

describe("what the vendor reads as text is billed as text", () => {
  const none = { tokens: 0, left: 0 };

  test("a data URL inside a text", () => {
    expect(counted(message({ type: "text", text: url }))).toEqual(none);
    expect(counted({ messages: [{ role: "user", content: url }] })).toEqual(none);
  });

  test("an image inside the arguments of a tool call, inside a tool's schema or beside the messages", () => {
    const image = { type: "image", source: { type: "base64", data } };
    expect(counted(message({ type: "tool_use", id: "t", name: "f", input: { content: [image] } }))).toEqual(none);
    expect(counted({ tools: [{ name: "f", input_schema: { default: [image] } }], metadata: image })).toEqual(none);
  });

  test("a document that is text", () => {
    expect(counted(message({ type: "document", source: { type: "text", data } }))).toEqual(none);
  });

  test("an image under a type that no vendor knows", () => {
    expect(counted(message({ type: "picture", source: { type: "base64", data } }))).toEqual(none);
  });
});

test("the bound is the body's bytes without media plus the ceilings", () => {
  const body = message({ type: "image_url", image_url: { url } }, { type: "text", text: "hé" });
  const bytes = Buffer.byteLength(JSON.stringify(body));
  expect(inputBound(body, bytes)).toBe(bytes - url.length + IMAGE_TOKENS);
});

test("nonsense is no media and no crash", () => {
  for (const messages of [null, 5, "x", [null, [["x"]]], { content: { content: null } }] as Json[]) {
    expect(inputBound({ messages }, 10)).toBe(10);
  }
  expect(surveyMedia(message({ type: "image" }, { type: "image_url", image_url: null }, { type: "file" })).images).toBe(
    2,
  );
});
