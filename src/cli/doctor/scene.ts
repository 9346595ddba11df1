// What the checks look at: who calls, which gateway is meant, and whose process it is. Looked up once.

import { statSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../../admin/admin-client.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/types.ts";
import type { KeyStore } from "../../layers/vault/index.ts";
import type { Io } from "../io.ts";
import { findService } from "../service/find-services.ts";
import { launchd } from "../service/launchd.ts";
import type { InstalledService } from "../service/service-plan.ts";
import type { System } from "../service/system.ts";
import { systemd } from "../service/systemd.ts";
import { findDaemon, listenersOf, userNameOf, uidOf, uidOfProcess, type KernelListener } from "./kernel.ts";

export interface Scene {
  readonly system: System;
  /** The user whose programs are on trial: who calls. */
  readonly caller: { readonly uid: number; readonly name: string };
  readonly home: string;
  readonly configFile: string;
  /** Null: it can't be read, or has faults. */
  readonly config: Config | null;
  /** The service that keeps this gateway; null: it is started by hand. */
  readonly service: InstalledService | null;
  /** Null: its user can't be told. */
  readonly owner: { readonly uid: number; readonly name: string } | null;
  /** Null: it doesn't run, or its process is hidden. */
  readonly pid: number | null;
  readonly running: boolean;
  readonly mode: "same-user" | "separate-user";
  /** Whether who calls can find out what agents could do: not root, who may do everything, nor the service's own user. */
  readonly vantage: "agents" | "root" | "gateway";
  /** All that listens on TCP here; null: this system does not tell. */
  readonly listeners: readonly KernelListener[] | null;
  readonly keychain: KeyStore;
  readonly keychainLocked: () => Promise<boolean | null>;
  readonly now: number;
}

export interface SceneParts {
  readonly system: System;
  readonly keychain: KeyStore;
  readonly keychainLocked: () => Promise<boolean | null>;
  readonly now: number;
}

/** Never rejects: what can't be seen is null, which is a finding too. */
export async function lookAround(io: Io, parts: SceneParts): Promise<Scene> {
  const { system } = parts;
  const target = await targetOf(io, system);
  const { home, configFile, service } = target;
  const told = await askProcess(home);
  const manager = system.platform === "darwin" ? launchd : systemd;
  const state = told === null && service !== null ? await manager.state(system, service) : null;
  const ownerUid = told?.uid ?? ownerOf(home) ?? (await uidOfService(system, service));
  // One's own gateway answers on its socket, or does not run; another of the same user may be of another home.
  const hidden = ownerUid !== null && ownerUid !== system.uid;
  const pid = told?.pid ?? state?.pid ?? (hidden ? findDaemon(ownerUid) : null);
  // What runs counts, not what is written: a unit may have been changed since.
  const uid = (pid === null ? null : uidOfProcess(pid)) ?? ownerUid;
  const loaded = loadConfig(configFile, { home });
  return {
    ...parts,
    caller: { uid: system.uid, name: await userNameOf(system, system.uid) },
    home,
    configFile,
    config: "config" in loaded && canRead(configFile) ? loaded.config : null,
    service,
    owner: uid === null ? null : { uid, name: await userNameOf(system, uid) },
    pid,
    running: told !== null || pid !== null || state?.state === "running",
    mode: uid !== null && uid !== system.uid ? "separate-user" : "same-user",
    vantage: vantageOf(system.uid, uid, service),
    listeners: listenersOf(),
  };
}

function vantageOf(caller: number, owner: number | null, service: InstalledService | null): Scene["vantage"] {
  if (caller === 0 && owner !== null && owner !== 0) return "root";
  return caller === owner && service !== null && service.user !== null ? "gateway" : "agents";
}

/** A home that is named, a gateway of one's own that runs, a service with a user of its own, or one's own home. */
async function targetOf(io: Io, system: System): Promise<Pick<Scene, "home" | "configFile" | "service">> {
  const found = findService(system, "separate-user");
  const separate = found === "foreign" ? null : found;
  const own = findService(system, "same-user");
  const mine = {
    home: io.home,
    configFile: io.configFile,
    service: [separate, own === "foreign" ? null : own].find((one) => one?.home === io.home) ?? null,
  };
  const named = (io.env["SANCTUM_HOME"] ?? "") !== "" || io.configFile !== join(io.home, "sanctum-proxy/config.yaml");
  if (named || separate === null || (await system.answers(io.home))) return mine;
  return { home: separate.home, configFile: join(separate.home, "sanctum-proxy/config.yaml"), service: separate };
}

/** Null: nobody answers, or it is not our business. */
async function askProcess(home: string): Promise<{ pid: number; uid: number } | null> {
  try {
    const text = await createAdminClient(join(home, "run/admin.sock")).get("/process");
    const { pid, uid } = JSON.parse(text) as { pid?: unknown; uid?: unknown };
    return typeof pid === "number" && typeof uid === "number" ? { pid, uid } : null;
  } catch {
    return null;
  }
}

function ownerOf(home: string): number | null {
  try {
    return statSync(home).uid;
  } catch {
    // Not there, or behind a folder that lets us not through.
    return null;
  }
}

async function uidOfService(system: System, service: InstalledService | null): Promise<number | null> {
  if (service === null) return null;
  return service.user === null ? system.uid : await uidOf(system, service.user);
}

/** A file that is not there can't be told from one that is hidden, so its folder is asked. */
function canRead(configFile: string): boolean {
  try {
    statSync(configFile);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
}
