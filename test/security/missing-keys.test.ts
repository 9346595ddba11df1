// A key that is missing is asked for in a dialog on the desktop: one, however many requests lack it, and none of them waits.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DialogDesk, type DialogKind } from "../fakes/dialog-programs.ts";
import { post, startHouse, type House } from "../fakes/house.ts";
import { attemptsOf, eventually } from "../harness.ts";

setDefaultTimeout(90_000);

const root = mkdtempSync(join(tmpdir(), "sanctum-dialogs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const key = "sk-canary-right-12345678";
const wrong = "sk-canary-wrong-12345678";
const passphrase = "canary battery staple";

interface Desktop {
  readonly desk: DialogDesk;
  readonly house: House;
  /** Writes the configuration anew, with these of its keys changed, and waits until it is live. */
  readonly configure: (over: object) => Promise<void>;
}

/** A gateway on a desktop; `names` of its cloud providers have no key. */
async function startOnDesktop(kind: DialogKind, names: readonly string[], over: object = {}): Promise<Desktop> {
  const desk = new DialogDesk(mkdtempSync(join(root, "desk-")), kind);
  const house = await startHouse({
    cloud: { keys: [key, "house-key-of-these-tests"] },
    config: ({ cloud }) => ({
      providers: Object.fromEntries(
        names.map((name) => [
          name,
          name === "anthropic"
            ? { url: cloud, dialects: ["messages"], retry: { attempts: 1 } }
            : { url: `${cloud}/v1`, dialects: ["responses", "chat"], retry: { attempts: 1 } },
        ]),
      ),
      ...over,
    }),
    // The machine may have the other one too.
    env: {
      DISPLAY: ":77",
      XDG_CURRENT_DESKTOP: kind === "kdialog" ? "KDE" : "GNOME",
      PATH: `${desk.path}:${process.env["PATH"]}`,
    },
  });
  const configure = async (over: object): Promise<void> => {
    const { generation } = (await house.gateway.stats()).config;
    house.gateway.writeConfig({ ...house.config, ...over });
    await eventually(async () => expect((await house.gateway.stats()).config.generation).toBeGreaterThan(generation));
  };
  return { desk, house, configure };
}

/** All that the gateway has written down so far. */
function written({ gateway }: House): string {
  const files = ["logs/cloud-proxy-audit.jsonl", "state/asked.json", "vault.age", "state/vault.json"];
  const texts = files.map((file) => join(gateway.home, file)).filter((file) => existsSync(file));
  return gateway.output() + texts.map((file) => readFileSync(file, "latin1")).join("\n");
}

describe("a missing key", () => {
  test("of 1,000 requests opens one dialog; none of them waits, and what is typed is checked, stored and used", async () => {
    const { desk, house, configure } = await startOnDesktop("zenity", ["anthropic"], { keys: { dialog: false } });
    await using _house = house;
    const { gateway, cloud } = house;
    expect(await (await post(gateway, "messages")).text()).not.toBe("");
    expect(desk.opened()).toEqual([]);
    await configure({ keys: { dialog: true } });

    const secretText = "the text of this request";
    const statuses = new Map<number, number>();
    for (let batch = 0; batch < 20; batch++) {
      const answers = Array.from({ length: 50 }, () => post(gateway, "messages", { extra: { system: secretText } }));
      for (const answer of answers) {
        const response = await answer;
        await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }
    }
    expect([...statuses]).toEqual([[200, 1_000]]);
    const first = await desk.untilOpened(1);
    expect([desk.opened().length, cloud.requests.length]).toEqual([1, 0]);
    expect(JSON.stringify(first)).not.toMatch(/text of this request|weather|canary/);
    expect(attemptsOf(gateway.auditLines().at(-1)!)).toEqual([
      "anthropic/claude-sonnet-4-5:skipped_key",
      "coder-14b:ok",
    ]);

    desk.answer(first, { typed: wrong });
    const second = await desk.untilOpened(2);
    expect(second.argv.join(" ")).toContain("anthropic does not accept that key (the provider answered 401).");
    desk.answer(second, { typed: key });
    // No keychain here, and no vault yet: its passphrase is chosen in two more.
    desk.answer(await desk.untilOpened(3), { typed: passphrase });
    desk.answer(await desk.untilOpened(4), { typed: passphrase });
    await eventually(async () => expect((await gateway.stats()).providers["anthropic"]!.key).toBe("ok"), 20_000);
    await (await post(gateway, "messages")).text();
    expect(cloud.generations.map((request) => request.header("x-api-key"))).toEqual([key]);
    expect(gateway.output()).toContain("keys: the key of anthropic was given, accepted; it is in the vault");
    expect(written(house)).not.toContain("canary");
    expect(desk.opened().length).toBe(4);
  });

  test("that the person does not give is not asked for again within the hour, not even after a restart", async () => {
    const { desk, house } = await startOnDesktop("kdialog", ["anthropic"]);
    await using _house = house;
    const { gateway } = house;
    desk.answer(await desk.untilOpened(1), "cancel");
    await eventually(() => expect(gateway.output()).toContain("not asked for again within the hour"));
    await (await post(gateway, "messages")).text();
    await gateway.restart();
    await (await post(gateway, "messages")).text();
    await gateway.restart();
    expect(desk.opened().length).toBe(1);
    await gateway.stop();
    const file = join(gateway.home, "state/asked.json");
    const asked = JSON.parse(readFileSync(file, "utf8")) as Record<string, number>;
    writeFileSync(file, JSON.stringify({ anthropic: asked["anthropic"]! - 3_600_000 }));
    await gateway.restart();
    desk.answer(await desk.untilOpened(2), "expire");
  });

  test("of several providers is asked for in one dialog at a time", async () => {
    const { desk, house } = await startOnDesktop("zenity", ["anthropic", "openai"]);
    await using _house = house;
    const first = await desk.untilOpened(1);
    for (const dialect of ["messages", "chat", "responses"] as const) await (await post(house.gateway, dialect)).text();
    expect(desk.opened().length).toBe(1);
    desk.answer(first, "cancel");
    const second = await desk.untilOpened(2);
    expect(desk.isOpen(first)).toBe(false);
    expect([first, second].map(({ argv }) => /The key of (\w+) is/.exec(argv.join(" "))![1])).toEqual([
      "anthropic",
      "openai",
    ]);
    desk.answer(second, "cancel");
  });

  test("is not asked for by a gateway that is gone: its dialog ends with it, however it ends", async () => {
    for (const end of ["stop", "kill9"] as const) {
      const { desk, house } = await startOnDesktop("zenity", ["anthropic"]);
      await using _house = house;
      const dialog = await desk.untilOpened(1);
      await house.gateway[end]();
      await eventually(() => expect(desk.isOpen(dialog)).toBe(false));
    }
  });
});
