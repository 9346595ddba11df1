import { describe, expect, test } from "bun:test";

import { findSecrets, isSecretName, looksRandom } from "./secret-scan.ts";

// Put together at run time, so that scanners of this repository find nothing.
const tail = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3";
const fakeSecrets: readonly string[] = [
  `sk-ant-api03-${tail}`,
  `sk-or-v1-${tail}`,
  `sk-proj-${tail}`,
  `sk-${tail}`,
  `AIza${tail}`,
  `gsk_${tail}`,
  `xai-${tail}`,
  `hf_${tail}`,
  `ghp_${tail}`,
  `github_pat_${tail}`,
  `glpat-${tail}`,
  `xoxb-${tail}`,
  `AKIA${tail.slice(0, 16).toUpperCase()}`,
  `sk-sanctum-windu-${tail}abcd`,
  `AGE-SECRET-KEY-1${"QWERTY234567".repeat(4)}`,
  `eyJ${tail}.eyJ${tail}.${tail}`,
  `Bearer ${tail}`,
  `-----BEGIN ${["RSA", "PRIVATE", "KEY"].join(" ")}-----`,
];

describe("secrets", () => {
  test("of every known form are found where they begin", () => {
    for (const secret of fakeSecrets) expect(findSecrets(`x: "${secret}" # y`)).toEqual([4]);
  });
  test("are not seen in names of models, hashes, paths and prose", () => {
    const innocent = [
      "anthropic/claude-sonnet-4-5-20250929",
      "qwen2.5-coder:14b-instruct-q4_K_M",
      `sha256:${"a1b2c3d4".repeat(8)}`,
      "ask-me-about-the-disk-and-the-task-list-of-today",
      "-----BEGIN CERTIFICATE-----",
      "op://Private/openai/credential",
      "sk-short",
    ];
    for (const text of innocent) expect([text, findSecrets(text)]).toEqual([text, []]);
  });
  test("are looked for in linear time", () => {
    for (const unit of ["sk-", "sk-a", "eyJaaaaaaaaaaaa", "Bearer ", "-----BEGIN ", "AKIA", "gh"]) {
      // 16 times the text of a quadratic search would take minutes here: the test's own time limit is the judge.
      expect(findSecrets(unit.repeat(400_000 / unit.length)).length).toBeGreaterThanOrEqual(0);
    }
  });
});

test("names under which secrets are kept are known in every spelling", () => {
  for (const name of [
    "api_key",
    "apiKey",
    "API-KEY",
    "x-api-key",
    "token",
    "tokens",
    "clientSecret",
    "password",
    "key",
  ]) {
    expect([name, isSecretName(name)]).toEqual([name, true]);
  }
  for (const name of ["monkey_business", "tokenizer", "input_tokens_per_minute", "keep", "author", "model"]) {
    expect([name, isSecretName(name)]).toEqual([name, false]);
  }
});

test("random text is told from words and paths", () => {
  expect(looksRandom(tail)).toBe(true);
  expect(looksRandom("0123456789abcdef0123456789abcdef")).toBe(true);
  for (const text of [
    "keychain",
    "/etc/ssl/private/gateway-2026.pem",
    "aaaaaaaaaaaaaaaaaaaa1",
    "passthrough-of-the-client",
  ]) {
    expect([text, looksRandom(text)]).toEqual([text, false]);
  }
});
