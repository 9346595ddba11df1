// What a program of the caller can do to the gateway here and now: each thing is tried, in a way that changes nothing.

import { join } from "node:path";
import { tryConnect, tryMemory, tryRead, trySignal, tryWrite, type Outcome } from "./attempts.ts";
import { separateRemedy } from "./boundary-checks.ts";
import { onBoundary, type Finding } from "./finding.ts";
import { readText, refusesTracing } from "./kernel.ts";
import type { Scene } from "./scene.ts";

interface Reach {
  readonly check: Finding["check"];
  /** After "You can" and "You can't". */
  readonly what: string;
  /** What it means where it is possible. */
  readonly means: string;
  /** Null: there is nothing of the kind here. */
  readonly outcome: (scene: Scene) => Outcome | Promise<Outcome> | null;
}

const reaches: readonly Reach[] = [
  {
    check: "reach.vault",
    what: "read the vault (vault.age)",
    means: "It is sealed, so its passphrase is what protects the keys: a copy can be guessed at elsewhere, unslowed.",
    outcome: ({ home }) => tryRead(join(home, "vault.age")),
  },
  {
    check: "reach.identity",
    what: "read the identity that opens the vault",
    means: "With it and the vault every key in it can be read.",
    outcome: ({ config }) => (config?.vault.identityFile === undefined ? null : tryRead(config.vault.identityFile)),
  },
  {
    check: "reach.ledger",
    what: "write the ledger (state/ledger.sqlite)",
    means: "What was spent can be written lower while the gateway is stopped.",
    outcome: ({ home }) => tryWrite(join(home, "state/ledger.sqlite")),
  },
  {
    check: "reach.audit",
    what: "read or write the audit trail",
    means: "Who asked what is seen, and the trail can be written anew as a whole.",
    outcome: ({ home, config }) => {
      const file = config?.audit.file ?? join(home, "logs/cloud-proxy-audit.jsonl");
      const outcomes = [tryRead(file), tryWrite(file)];
      return outcomes.find((outcome) => outcome === "possible") ?? outcomes[0]!;
    },
  },
  {
    check: "reach.config",
    what: "write the configuration",
    means: "Caps can be raised, tokens added, and commands named that run as the gateway's user.",
    outcome: ({ configFile }) => tryWrite(configFile),
  },
  {
    check: "reach.admin",
    what: "use the gateway's own socket (run/admin.sock)",
    means: "The gateway can be stopped, and tokens of every agent can be had from it.",
    outcome: ({ home }) => tryConnect(join(home, "run/admin.sock")),
  },
  {
    check: "reach.environ",
    what: "read the environment of its process",
    means: "No key is in it; settings are.",
    outcome: ({ pid }) => (pid === null || !hasProc() ? null : tryRead(`/proc/${pid}/environ`)),
  },
  {
    check: "reach.memory",
    what: "read the memory of its process, or trace it",
    means: "Keys that are in use, and the passphrase of an open vault, can be read there.",
    outcome: ({ pid }) => (pid === null || !hasProc() ? null : tryMemory(pid)),
  },
  {
    check: "reach.signal",
    what: "send its process signals",
    means: "It can be stopped.",
    outcome: ({ pid }) => (pid === null ? null : trySignal(pid)),
  },
];

export async function checkReach(scene: Scene): Promise<Finding[]> {
  if (scene.owner === null || scene.vantage !== "agents") return [];
  const findings: Finding[] = [];
  for (const reach of reaches) {
    const outcome = await reach.outcome(scene);
    if (outcome !== null && outcome !== "absent") findings.push(findingOf(reach, outcome, scene));
  }
  return findings;
}

function findingOf({ check, what, means }: Reach, outcome: Outcome, scene: Scene): Finding {
  if (outcome === "refused") {
    const why = check === "reach.memory" && scene.mode === "same-user" ? ` (${whyNoTracing(scene)})` : "";
    return onBoundary(check, "ok", { found: `You can't ${what}${why}.` });
  }
  const separate = scene.mode === "separate-user";
  return onBoundary(check, separate ? "problem" : "note", {
    found: `You can ${what}.`,
    means,
    remedy: separate
      ? `that belongs to ${scene.owner?.name ?? "its user"} alone: folders 0700, files 0600 (see the files below)`
      : separateRemedy,
  });
}

/** Yama, where it is at 1, still lets a shell's programs be traced by who started them: it is no boundary. */
function whyNoTracing({ pid }: Scene): string {
  if (pid !== null && refusesTracing(pid)) return "it has told the kernel to refuse";
  const scope = readText("/proc/sys/kernel/yama/ptrace_scope")?.trim();
  return scope === undefined ? "the kernel refuses" : `kernel.yama.ptrace_scope is ${scope}`;
}

function hasProc(): boolean {
  return process.platform === "linux";
}
