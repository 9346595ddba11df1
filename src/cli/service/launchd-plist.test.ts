import { describe, expect, test } from "bun:test";
import { launchAgent, launchDaemon, readPlist } from "./launchd-plist.ts";
import type { SameUser } from "./service-plan.ts";

type Value = string | number | boolean | Value[] | { [key: string]: Value };

/** A property list as Apple's DTD has it, of the elements that launchd's files use. Throws where it is none. */
function parsePlist(text: string): Value {
  const head =
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist PUBLIC "-\/\/Apple\/\/DTD PLIST 1\.0\/\/EN" "http:\/\/www\.apple\.com\/DTDs\/PropertyList-1\.0\.dtd">\n(?:<!--(?:(?!--)[^])*-->\n)?<plist version="1\.0">([^]*)<\/plist>\n$/;
  const body = head.exec(text)?.[1];
  if (body === undefined) throw new Error("no property list");
  const tokens = body.match(/<[^<>]*>|[^<>]+/g) ?? [];
  const parts = tokens.filter((token) => token.startsWith("<") || token.trim() !== "");
  const value = valueFrom(parts);
  if (parts.length > 0) throw new Error(`more than one value: ${parts[0]}`);
  return value;
}

function valueFrom(parts: string[]): Value {
  const tag = parts.shift();
  switch (tag ?? "") {
    case "<true/>":
      return true;
    case "<false/>":
      return false;
    case "<string>":
      return textUntil(parts, "</string>");
    case "<integer>": {
      const text = textUntil(parts, "</integer>");
      if (!/^-?\d+$/.test(text)) throw new Error(`no integer: ${text}`);
      return Number(text);
    }
    case "<array>": {
      const items: Value[] = [];
      while (parts[0] !== "</array>") items.push(valueFrom(parts));
      parts.shift();
      return items;
    }
    case "<dict>": {
      const entries: [string, Value][] = [];
      while (parts[0] !== "</dict>") {
        if (parts.shift() !== "<key>") throw new Error("a value without a key");
        const key = textUntil(parts, "</key>");
        if (entries.some(([one]) => one === key)) throw new Error(`${key} twice`);
        entries.push([key, valueFrom(parts)]);
      }
      parts.shift();
      return Object.fromEntries(entries);
    }
    default:
      throw new Error(`unknown: ${tag}`);
  }
}

function textUntil(parts: string[], end: string): string {
  const text = parts[0] === end ? "" : (parts.shift() ?? "");
  if (parts.shift() !== end || /&(?!(?:amp|lt|gt);)/.test(text)) throw new Error(`broken text before ${end}`);
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const daemon = launchDaemon({ mode: "separate-user", user: "sanctum", program: { kind: "file", path: "/x" } });

describe("the property list of a user of its own", () => {
  test("is well-formed and holds what launchd.plist(5) names, of the types that it wants", () => {
    const limits = { Core: 0, NumberOfFiles: 65_536 };
    const home = "/var/lib/sanctum/.sanctum";
    expect(parsePlist(daemon)).toEqual({
      Label: "local.sanctum-proxy",
      ProgramArguments: ["/opt/sanctum/bin/sanctum", "start"],
      UserName: "sanctum",
      GroupName: "sanctum",
      WorkingDirectory: "/var/lib/sanctum",
      EnvironmentVariables: { HOME: "/var/lib/sanctum", PATH: "/usr/bin:/bin:/usr/sbin:/sbin", SANCTUM_HOME: home },
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ThrottleInterval: 10,
      ExitTimeOut: 45,
      // 0077 in decimal.
      Umask: 63,
      SoftResourceLimits: limits,
      HardResourceLimits: limits,
      StandardOutPath: `${home}/logs/service.log`,
      StandardErrorPath: `${home}/logs/service.log`,
    });
  });

  test("is read back", () => {
    expect(readPlist(daemon)).toEqual({
      user: "sanctum",
      home: "/var/lib/sanctum/.sanctum",
      command: "/opt/sanctum/bin/sanctum start",
    });
  });
});

describe("the property list of the same user", () => {
  const program = { kind: "checkout", root: "/u/me/a & <b>", bun: "/b" } as const;
  const service: SameUser = { mode: "same-user", home: "/u/me/<&>/.sanctum", configFile: null, program };
  const agent = launchAgent(service, "/u/me");

  test("names no user, and runs the checkout by its own launcher, whatever its path is", () => {
    const list = parsePlist(agent) as { [key: string]: Value };
    expect(list["ProgramArguments"]).toEqual(["/bin/sh", "/u/me/a & <b>/bin/sanctum", "start"]);
    expect(list["EnvironmentVariables"]).toMatchObject({ HOME: "/u/me", SANCTUM_HOME: "/u/me/<&>/.sanctum" });
    expect("UserName" in list).toBe(false);
  });

  test("is read back", () => {
    expect(readPlist(agent)).toMatchObject({ user: null, home: "/u/me/<&>/.sanctum" });
  });
});

test("a property list that somebody else wrote is not taken for ours", () => {
  expect(readPlist(daemon.replace(/<!--.*-->\n/, ""))).toBe(null);
});

test("the test's own reader refuses what is none", () => {
  const broken = [
    daemon.replace("</dict>", ""),
    daemon.replace("<integer>10", "<integer>ten"),
    daemon.replace("<true/>", "<yes/>"),
    daemon.replace("<key>Label</key>", "<key>UserName</key>"),
    daemon.replace("/opt/sanctum", "/opt/&sanctum"),
  ];
  for (const text of broken) expect(() => parsePlist(text)).toThrow();
});
