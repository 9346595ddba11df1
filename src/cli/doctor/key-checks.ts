// Keys that lie where agents can take them, past the gateway.

import { join } from "node:path";
import { existsSync } from "node:fs";
import { builtInProviders } from "../../config/defaults.ts";
import { hasSessionBus } from "../../layers/vault/index.ts";
import { vendorKeyPattern } from "../vendor-keys.ts";
import { separateRemedy } from "./boundary-checks.ts";
import { beside, onBoundary, type Finding } from "./finding.ts";
import type { Scene } from "./scene.ts";

const moveIt = "store it by `sanctum keys set PROVIDER`, take it out there, and give agents a token or `sanctum run`";

/** Tokens of the gateway stand in the same variables, and are what should stand there. */
function isVendorKey(name: string, value: string): boolean {
  return vendorKeyPattern.test(name) && value !== "" && value !== "anonymous" && !value.startsWith("sk-sanctum-");
}

export function checkEnvironment({ system }: Scene): Finding[] {
  const names = Object.entries(system.env).flatMap(([name, value]) => (isVendorKey(name, value ?? "") ? [name] : []));
  if (names.length === 0)
    return [onBoundary("keys.environment", "ok", { found: "No provider's key is in your environment." })];
  return [
    onBoundary("keys.environment", "problem", {
      found: `Your environment holds ${names.join(", ")}.`,
      means: "Every program that you start has the key, and can use it past the gateway's caps and log.",
      remedy: moveIt,
    }),
  ];
}

const startFiles = [
  ".bashrc",
  ".bash_profile",
  ".bash_login",
  ".profile",
  ".zshrc",
  ".zshenv",
  ".zprofile",
  ".config/fish/config.fish",
  ".config/environment.d/*.conf",
  ".pam_environment",
  ".env",
];

/** The files that fill the environment of every shell, not a search for keys. Values are never shown. */
export function checkStartFiles({ system }: Scene): Finding[] {
  const paths = ["/etc/environment", ...startFiles.flatMap((name) => filesNamed(system.homeFolder, name))];
  const findings = paths.flatMap((path) => {
    const names = keysIn(system.read(path) ?? "");
    if (names.length === 0) return [];
    return onBoundary("keys.start-files", "problem", {
      found: `${path} sets ${[...new Set(names)].join(", ")}.`,
      means: "Every program that reads it has the key, and can use it past the gateway's caps and log.",
      remedy: moveIt,
    });
  });
  if (findings.length > 0) return findings;
  return [onBoundary("keys.start-files", "ok", { found: "Your shell's start files set no provider's key." })];
}

function filesNamed(folder: string, name: string): string[] {
  if (!name.includes("*")) return [join(folder, name)];
  try {
    return [...new Bun.Glob(name).scanSync({ cwd: folder, dot: true })].map((file) => join(folder, file));
  } catch {
    // The folder is not there, or may not be read.
    return [];
  }
}

/** `NAME=value`, with `export` or not, and fish's `set -gx NAME value`; a value that a command prints is none. */
function keysIn(text: string): string[] {
  const assignment = /^[ \t]*(?:export[ \t]+|set[ \t]+-\S+[ \t]+)?([A-Z_]+)(?:=|[ \t]+(?=\S))["']?([^\s"'#]*)/gm;
  return [...text.matchAll(assignment)].flatMap(([, name, value]) =>
    isVendorKey(name!, value!) && !/^[$`(]/.test(value!) ? [name!] : [],
  );
}

/** In the same user's mode: whether the gateway has a keychain. Beside another user's: what is left in one's own. */
export async function checkKeychain(scene: Scene): Promise<Finding[]> {
  const { system, mode, keychainLocked } = scene;
  const separate = mode === "separate-user";
  if (system.platform === "darwin") {
    return [
      beside("keys.keychain", "note", {
        found: "macOS asks before a program reads a key of the keychain that another program stored.",
        means: "Who clicks Always Allow for Bun or a shell lets every script of that program read it.",
        remedy: "click Allow, not Always Allow, for programs that you do not know",
      }),
    ];
  }
  if (!hasSessionBus(system.env)) {
    const found = "There is no keychain in this session (no D-Bus).";
    return [beside("keys.keychain", "ok", separate ? { found } : { found, means: "Keys go into the vault." })];
  }
  if ((await keychainLocked()) === true) {
    if (separate)
      return [onBoundary("keys.keychain", "note", { found: "Your keychain is locked, so what it holds is not seen." })];
    return [
      beside("keys.keychain", "problem", {
        found: "The keychain is locked.",
        means: "The gateway gets no key from it; other candidates answer meanwhile.",
        remedy: "unlock it (log in at the desktop, or open the keyring's program); the gateway sees that by itself",
      }),
    ];
  }
  return [await keychainContents(scene)];
}

async function keychainContents({ keychain, config, mode }: Scene): Promise<Finding> {
  const names = [...(config?.providers.keys() ?? builtInProviders.keys())];
  const held: string[] = [];
  try {
    for (const name of names) {
      const keys = await keychain.load(name, AbortSignal.timeout(5_000));
      if (keys.length > 0) held.push(name);
      for (const key of keys) key.fill(0);
    }
  } catch {
    return beside("keys.keychain", "ok", { found: "There is no keychain in this session." });
  }
  if (held.length === 0) {
    return onBoundary("keys.keychain", "ok", { found: "Your keychain is open and holds no provider's key." });
  }
  const found = `Your keychain gives the key of ${held.join(", ")} to every program that runs as you.`;
  if (mode === "same-user") return onBoundary("keys.keychain", "note", { found, remedy: separateRemedy });
  return onBoundary("keys.keychain", "problem", {
    found,
    means: "Agents can take it there and use it past the gateway.",
    remedy: `store it with the gateway's user, then take it out here: ${held.map((name) => `\`sanctum keys rm ${name}\``).join(", ")}`,
  });
}

/** A vault of one's own from before the gateway had another user. */
export function checkLeftovers({ mode, system, home, vantage }: Scene): Finding[] {
  const file = join(system.homeFolder, ".sanctum/vault.age");
  if (mode !== "separate-user" || vantage !== "agents" || file === join(home, "vault.age") || !existsSync(file))
    return [];
  return [
    onBoundary("keys.leftovers", "problem", {
      found: `${file} is a vault of your own, from before.`,
      means: "Agents can copy it and guess at its passphrase elsewhere.",
      remedy:
        "store its keys with the gateway's user, then delete it; replace the keys at the providers if agents were there",
    }),
  ];
}
