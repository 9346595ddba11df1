// The property lists for launchd (macOS). Pure: what is written, no writing.

import { join } from "node:path";
import {
  gatewayHome,
  installedProgram,
  madeBy,
  ownCommand,
  userHome,
  type SameUser,
  type SeparateUser,
} from "./service-plan.ts";

export const launchLabel = "local.sanctum-proxy";

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/** Above the 30 s that running streams may take after SIGTERM; launchd's own 20 s would cut them. */
const stopSeconds = 45;
/** What only its user may read: 077, which launchd wants in decimal. */
const umask = 0o077;
/** Keys are in its memory: no image of it on a disk. */
const limits = { Core: 0, NumberOfFiles: 65_536 };

/** The separate-user mode: a daemon of the system. */
export function launchDaemon({ user }: SeparateUser): string {
  return plist({
    Label: launchLabel,
    ProgramArguments: [installedProgram, "start"],
    UserName: user,
    GroupName: user,
    WorkingDirectory: userHome(user),
    ...common(gatewayHome(user), userHome(user)),
  });
}

/** A service of the user who calls, from login to logout. */
export function launchAgent(service: SameUser, homeFolder: string): string {
  return plist({
    Label: launchLabel,
    ProgramArguments: ownCommand(service),
    ...common(service.home, homeFolder),
  });
}

/** Where launchd writes what the gateway prints. */
export function logFile(home: string): string {
  return join(home, "logs/service.log");
}

function common(home: string, homeFolder: string): Record<string, Value> {
  return {
    EnvironmentVariables: { HOME: homeFolder, PATH: "/usr/bin:/bin:/usr/sbin:/sbin", SANCTUM_HOME: home },
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 10,
    ExitTimeOut: stopSeconds,
    Umask: umask,
    SoftResourceLimits: limits,
    HardResourceLimits: limits,
    StandardOutPath: logFile(home),
    StandardErrorPath: logFile(home),
  };
}

function plist(root: Record<string, Value>): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${madeBy}, which writes it anew each time. \`sanctum service uninstall\` takes it away. -->
<plist version="1.0">
${element(root, "")}
</plist>
`;
}

function element(value: Value, indent: string): string {
  const inner = `${indent}  `;
  if (typeof value === "string") return `${indent}<string>${escaped(value)}</string>`;
  if (typeof value === "number") return `${indent}<integer>${value}</integer>`;
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  if (isArray(value)) {
    return [`${indent}<array>`, ...value.map((item) => element(item, inner)), `${indent}</array>`].join("\n");
  }
  const entries = Object.entries(value).flatMap(([key, item]) => [
    `${inner}<key>${escaped(key)}</key>`,
    element(item, inner),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`].join("\n");
}

function isArray(value: readonly Value[] | { readonly [key: string]: Value }): value is readonly Value[] {
  return Array.isArray(value);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The settings of a property list that we have made; null: it is not ours. */
export function readPlist(
  text: string,
): { readonly user: string | null; readonly home: string; readonly command: string } | null {
  if (!text.includes(`<!-- ${madeBy}`)) return null;
  const setting = (key: string): string | null => {
    const match = new RegExp(`<key>${key}</key>\\s*<string>([^<]*)</string>`).exec(text);
    return match === null ? null : unescaped(match[1]!);
  };
  const home = setting("SANCTUM_HOME");
  if (home === null) return null;
  const words = /<key>ProgramArguments<\/key>\s*<array>([^]*?)<\/array>/.exec(text)?.[1] ?? "";
  const command = [...words.matchAll(/<string>([^<]*)<\/string>/g)].map(([, word]) => unescaped(word!)).join(" ");
  return { user: setting("UserName"), home, command };
}

function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
