// Owners and modes of what the gateway keeps.

import { statSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { onBoundary, type Finding } from "./finding.ts";
import type { Scene } from "./scene.ts";

interface Kept {
  readonly path: string;
  /** Bits of the mode that must not be set. */
  readonly forbidden: number;
}

/** Others may read the configuration, which holds no secret, but not say what it is. */
const nobodyElse = 0o077;
const nobodyElseWrites = 0o022;

function keptBy({ home, configFile, config }: Scene): Kept[] {
  const audit = config?.audit.file ?? join(home, "logs/cloud-proxy-audit.jsonl");
  const state = join(home, "state");
  const closed = [
    home,
    state,
    join(state, "ledger.sqlite"),
    join(state, "ledger.sqlite-wal"),
    join(state, "vault.json"),
    dirname(audit),
    audit,
    join(home, "run"),
    join(home, "run/admin.sock"),
    join(home, "vault.age"),
    ...(config?.vault.identityFile === undefined ? [] : [config.vault.identityFile]),
  ];
  return [
    ...closed.map((path) => ({ path, forbidden: nobodyElse })),
    ...[dirname(configFile), configFile].map((path) => ({ path, forbidden: nobodyElseWrites })),
  ];
}

export function checkFiles(scene: Scene): Finding[] {
  const { owner, home } = scene;
  if (owner === null) return [];
  const problems: Finding[] = [];
  let seen = 0;
  let hidden = 0;
  for (const { path, forbidden } of keptBy(scene)) {
    const stat = statOf(path);
    if (stat === "hidden") hidden++;
    if (typeof stat === "string") continue;
    seen++;
    problems.push(...faultsOf(path, stat, forbidden, owner));
  }
  problems.push(...wayTo(home, owner.uid));
  if (problems.length > 0) return problems;
  const found =
    seen === 0
      ? `${home} is behind a folder that does not let you through, and so are its files.`
      : `Folders and files in ${home} are ${owner.name}'s alone (${seen} looked at${hidden === 0 ? "" : "; the rest is hidden from you"}).`;
  return [onBoundary("files.modes", "ok", { found })];
}

function faultsOf(
  path: string,
  { uid, mode }: Stats,
  forbidden: number,
  owner: { uid: number; name: string },
): Finding[] {
  const findings: Finding[] = [];
  if (uid !== owner.uid && uid !== 0) {
    findings.push(
      onBoundary("files.owner", "problem", {
        found: `${path} belongs to another user (uid ${uid}).`,
        means: "Who owns it can read it and change it.",
        remedy: `chown ${owner.name} ${path}`,
      }),
    );
  }
  if ((mode & forbidden) !== 0) {
    const means = (mode & nobodyElseWrites) === 0 ? "Other users can read it." : "Other users can change it.";
    findings.push(
      onBoundary("files.modes", "problem", {
        found: `${path} has mode ${(mode & 0o7777).toString(8).padStart(4, "0")}.`,
        means,
        remedy: `chmod ${forbidden === nobodyElse ? "go-rwx" : "go-w"} ${path}`,
      }),
    );
  }
  return findings;
}

/** Who can write a folder on the way can put a home of his own in the place of this one, unless the folder is sticky. */
function wayTo(home: string, owner: number): Finding[] {
  const findings: Finding[] = [];
  for (let folder = dirname(home); ; folder = dirname(folder)) {
    const stat = statOf(folder);
    if (typeof stat !== "string") {
      const foreign = stat.uid !== 0 && stat.uid !== owner;
      const open = (stat.mode & nobodyElseWrites) !== 0 && (stat.mode & 0o1000) === 0;
      if (foreign || open) {
        findings.push(
          onBoundary("files.way", "problem", {
            found: `${folder}, on the way to it, ${foreign ? `belongs to another user (uid ${stat.uid})` : "can be written by others"}.`,
            means: "They can put another folder in the place of the gateway's.",
            remedy: foreign ? `move SANCTUM_HOME to a folder of its own user` : `chmod go-w ${folder}`,
          }),
        );
      }
    }
    if (folder === dirname(folder)) return findings;
  }
}

function statOf(path: string): Stats | "hidden" | "absent" {
  try {
    return statSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOENT" || code === "ENOTDIR" ? "absent" : "hidden";
  }
}
