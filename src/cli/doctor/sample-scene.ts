// A machine and a gateway on it, for the tests of the checks: all is well until a test says otherwise.

import type { KeyStore } from "../../layers/vault/index.ts";
import { SampleLinux } from "../service/sample-linux.ts";
import type { Scene } from "./scene.ts";

export interface Changes extends Partial<Omit<Scene, "system">> {
  readonly env?: Readonly<Record<string, string>>;
  /** Texts by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** The home folder of who calls. */
  readonly homeFolder?: string;
}

export function sampleScene({ env = {}, files = {}, homeFolder = "/h/x", ...changes }: Changes = {}): Scene {
  const system = Object.assign(new SampleLinux(), { uid: 1_000, env, homeFolder });
  for (const [path, text] of Object.entries(files)) system.files.set(path, text);
  return {
    system,
    caller: { uid: 1_000, name: "x" },
    home: "/h/x/.sanctum",
    configFile: "/h/x/.sanctum/sanctum-proxy/config.yaml",
    config: null,
    service: null,
    owner: { uid: 1_000, name: "x" },
    pid: null,
    running: true,
    mode: "same-user",
    vantage: "agents",
    listeners: [{ address: "127.0.0.1", port: 4040, uid: 1_000 }],
    keychain: keychainWith({}),
    keychainLocked: async () => false,
    now: Date.parse("2026-11-28T00:00:00Z"),
    ...changes,
  };
}

/** Keys by provider. `"broken"`: it can't be used. */
export function keychainWith(keys: Readonly<Record<string, string>> | "broken"): KeyStore {
  return {
    place: "keychain",
    async load(provider) {
      if (keys === "broken") throw new Error("no keychain");
      const key = keys[provider];
      return key === undefined ? [] : [new TextEncoder().encode(key)];
    },
    save: () => Promise.reject(new Error("doctor stores nothing")),
    remove: () => Promise.reject(new Error("doctor removes nothing")),
  };
}
