// The audit trail of a running gateway, as its commands show it.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { runArgs } from "../fakes/command-line.ts";
import { HOUSE_KEY, modelOf, post, routeOf, smallBody, startHouse, type House } from "../fakes/house.ts";
import { eventually, tokenOf, type AuditLine } from "../harness.ts";

setDefaultTimeout(60_000);
afterEach(() => {
  process.exitCode = 0;
});

const trailOf = ({ gateway }: House): string => join(gateway.home, "logs", "cloud-proxy-audit.jsonl");
const contentsOf = ({ gateway }: House): string => join(gateway.home, "logs", "cloud-proxy-audit-contents");

async function ask(house: House, body: string): Promise<{ id: string; text: string }> {
  const response = await fetch(`${house.gateway.url}${routeOf.messages}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${tokenOf("windu").token}` },
    body,
  });
  return { id: response.headers.get("x-sanctum-request-id") ?? "", text: await response.text() };
}

async function lineOf(house: House, id: string): Promise<AuditLine> {
  return house.gateway.auditLine((line) => line.id === id);
}

const sha256 = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** What a request's line says of its contents. */
interface Content {
  readonly request: string;
  readonly answer: string;
  readonly kept?: { readonly file: string; readonly from: number; readonly to: number } | null;
  readonly redacted?: boolean;
}
const contentOf = (line: AuditLine): Content => line["content"] as unknown as Content;

describe("content: full", () => {
  const config = { audit: { content: "full" } };

  test("keeps prompt and answer, of a stream as of one piece, where `show` finds them and nobody reads them else", async () => {
    await using house = await startHouse({ config });
    for (const stream of [false, true]) {
      const body = smallBody("messages", modelOf.messages, {
        stream,
        messages: [{ role: "user", content: "the prompt's words" }],
      });
      const { id, text } = await ask(house, body);
      const content = contentOf(await lineOf(house, id));
      expect(content).toMatchObject({ request: sha256(body), answer: sha256(text) });
      const file = join(contentsOf(house), content.kept!.file);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file, "latin1")).not.toContain("the prompt's words");
      expect(house.gateway.auditText().join("")).not.toContain("the prompt's words");
      expect((await runArgs(house.gateway, ["audit", "show", id, "--request"])).out).toBe(body);
      expect((await runArgs(house.gateway, ["audit", "show", id, "--answer"])).out).toBe(text);
      const { out, code } = await runArgs(house.gateway, ["audit", "show", id]);
      expect(code).toBe(0);
      expect(out).toContain("--- request ---");
      expect(out).toContain("the prompt's words");
    }
    expect((await runArgs(house.gateway, ["audit", "show", "req_nobody"])).code).toBe(1);
    // What is written is whole also after the gateway has gone.
    const { id, text } = await ask(house, smallBody("messages", modelOf.messages));
    await lineOf(house, id);
    await house.gateway.kill9();
    expect((await runArgs(house.gateway, ["audit", "show", id, "--answer"])).out).toBe(text);
  });

  test("takes the house's keys out of what a client wrote", async () => {
    await using house = await startHouse({ config });
    const body = smallBody("messages", modelOf.messages, {
      messages: [{ role: "user", content: `my key is ${HOUSE_KEY}` }],
    });
    const { id } = await ask(house, body);
    expect(contentOf(await lineOf(house, id)).redacted).toBe(true);
    const { out } = await runArgs(house.gateway, ["audit", "show", id]);
    expect(out).toContain("my key is [redacted]");
    expect(out).not.toContain(HOUSE_KEY);
  });

  test("says so where a kept byte was changed, the files have expired, or another machine sealed them", async () => {
    await using house = await startHouse({ config });
    const { id } = await ask(house, smallBody("messages", modelOf.messages));
    const { file, to } = contentOf(await lineOf(house, id)).kept!;
    const path = join(contentsOf(house), file);
    const whole = readFileSync(path);
    const changed = Buffer.from(whole);
    changed[to - 1]! ^= 1;
    writeFileSync(path, changed);
    expect((await runArgs(house.gateway, ["audit", "show", id])).err).toContain("it was changed");
    writeFileSync(path, whole);
    const key = join(house.gateway.home, "state", "audit-content.key");
    const kept = readFileSync(key);
    writeFileSync(key, `${Buffer.alloc(32, 7).toString("base64url")}\n`);
    expect((await runArgs(house.gateway, ["audit", "show", id])).err).toContain("another key");
    writeFileSync(key, kept);
    unlinkSync(path);
    const expired = await runArgs(house.gateway, ["audit", "show", id]);
    expect(expired).toMatchObject({ code: 0, err: expect.stringContaining("have expired") });
    expect((await runArgs(house.gateway, ["audit", "verify"])).code).toBe(0);
  });

  test("for an age recipient is read by the identity alone", async () => {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    await using house = await startHouse({ config: { audit: { content: "full", content_files: { recipient } } } });
    const { id, text } = await ask(house, smallBody("messages", modelOf.messages));
    await lineOf(house, id);
    expect(existsSync(join(house.gateway.home, "state", "audit-content.key"))).toBe(false);
    expect((await runArgs(house.gateway, ["audit", "show", id])).err).toContain("--identity");
    const file = join(house.gateway.home, "identity.txt");
    writeFileSync(file, `# made for a test\n${identity}\n`);
    expect((await runArgs(house.gateway, ["audit", "show", id, "--answer", "--identity", file])).out).toBe(text);
    writeFileSync(file, `${await generateX25519Identity()}\n`);
    expect((await runArgs(house.gateway, ["audit", "show", id, "--identity", file])).err).toContain("does not open it");
  });

  test("begins and ends with a reload", async () => {
    await using house = await startHouse();
    const { id } = await ask(house, smallBody("messages", modelOf.messages));
    expect(contentOf(await lineOf(house, id))).toBeUndefined();
    const base = JSON.parse(readFileSync(house.gateway.configFile, "utf8")) as object;
    const reloaded = async (content: string): Promise<Content> => {
      const { generation } = (await house.gateway.stats()).config;
      house.gateway.writeConfig({ ...base, audit: { content } });
      await eventually(async () => expect((await house.gateway.stats()).config.generation).toBe(generation + 1));
      return contentOf(await lineOf(house, (await ask(house, smallBody("messages", modelOf.messages))).id));
    };
    expect(await reloaded("sha256")).toEqual({ request: expect.any(String), answer: expect.any(String) });
    expect((await reloaded("full")).kept?.file).toEndWith(".sealed");
    expect(await reloaded("none")).toBeUndefined();
  });
});

describe("the trail", () => {
  test("is sealed, and verified with and without the gateway, over a kill and a restart", async () => {
    await using house = await startHouse();
    for (let i = 0; i < 3; i++) await post(house.gateway, "messages");
    await eventually(async () => {
      const { audit } = (await house.gateway.stats()) as unknown as { audit: { seal: { seq: number; key: string } } };
      expect(audit.seal).toMatchObject({ seq: 3, key: "file" });
    });
    expect(await runArgs(house.gateway, ["audit", "verify"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(
        /the chain is whole: 3 lines in 1 files, head sha256:.*\nsealed up to line 3 or later/,
      ),
    });
    await house.gateway.kill9();
    await house.gateway.restart();
    await post(house.gateway, "messages");
    await house.gateway.stop();
    expect((await runArgs(house.gateway, ["audit", "verify"])).code).toBe(0);
    expect(house.gateway.output()).not.toContain("ALARM");
    const lines = house.gateway.auditText();
    writeFileSync(trailOf(house), `${lines.slice(0, -1).join("\n")}\n`);
    const cut = await runArgs(house.gateway, ["audit", "verify", "--json"]);
    expect(JSON.parse(cut.out)).toMatchObject({
      ok: false,
      broken: { rule: "missing", line: 4 },
      seals: { key: "file" },
    });
    expect(cut.code).toBe(1);
    const known = await runArgs(house.gateway, ["audit", "verify", "--chain-only", "--expect", `4:${"0".repeat(64)}`]);
    expect(known).toMatchObject({ code: 1, out: expect.stringContaining("--expect knows of them") });
  });

  test("that is deleted, replaced, cut or written to under an idle gateway is mended where it can be, and told until accepted", async () => {
    await using house = await startHouse();
    const { gateway } = house;
    const trail = trailOf(house);
    const alarms = async (): Promise<readonly string[]> => {
      const { audit } = (await gateway.stats()) as unknown as { audit: { alarms: readonly { text: string }[] } };
      return audit.alarms.map(({ text }) => text);
    };
    await post(gateway, "messages");
    await eventually(() => expect(gateway.auditLines()).toHaveLength(1));
    unlinkSync(trail);
    await eventually(async () => expect((await alarms()).join()).toContain("deleted; its lines were saved as"));
    await post(gateway, "messages");
    await eventually(() => expect(gateway.auditLines()).toHaveLength(1));
    // As `sed -i` does it.
    writeFileSync(`${trail}.sed`, readFileSync(trail, "utf8").replace('"windu"', '"mothma"'));
    renameSync(`${trail}.sed`, trail);
    await eventually(async () => expect((await alarms()).join()).toContain("another file stood in its place"));
    expect(readdirSync(join(trail, "..")).join()).toContain(".foreign-");
    await post(gateway, "messages");
    await eventually(async () => expect((await gateway.stats()).audit.entries).toBe(3));
    const status = await runArgs(gateway, ["status"]);
    expect(status.out).toContain("ALARM of the audit trail");
    // All lines are there, but somebody was at work.
    const verdict = await runArgs(gateway, ["audit", "verify"]);
    expect(verdict).toMatchObject({ code: 1, out: expect.stringContaining("the chain is whole: 3 lines in 3 files") });
    await gateway.kill9();
    await gateway.restart();
    expect(await alarms()).toHaveLength(3);
    expect((await runArgs(gateway, ["audit", "accept"])).out).toContain("3 alarms are closed");
    expect((await runArgs(gateway, ["audit", "verify"])).code).toBe(0);
    expect(await alarms()).toEqual([]);
    appendFileSync(trail, "somebody else's line\n");
    await eventually(async () => expect((await alarms()).join()).toContain("somebody else wrote to the file"));
  });
});

test("export writes what the trail says, in three forms, and puts a file in its place when it is whole", async () => {
  await using house = await startHouse();
  for (let i = 0; i < 4; i++) await post(house.gateway, i % 2 === 0 ? "messages" : "chat");
  await eventually(() => expect(house.gateway.auditLines()).toHaveLength(4));
  const home = house.gateway.home;
  for (const format of ["csv", "jsonl", "parquet"]) {
    const file = join(home, `trail.${format}`);
    const { out, code } = await runArgs(house.gateway, ["audit", "export", "--output", file, "--dialect", "chat"]);
    expect({ code, out }).toEqual({ code: 0, out: `2 requests in ${file}\n` });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  expect(readdirSync(home).filter((name) => name.endsWith(".new"))).toEqual([]);
  expect(readFileSync(join(home, "trail.csv"), "utf8").trimEnd().split("\r\n")).toHaveLength(3);
  expect(readFileSync(join(home, "trail.jsonl"), "utf8").trimEnd().split("\n")).toEqual(
    house.gateway.auditText().filter((line) => line.includes('"dialect":"chat"')),
  );
});
