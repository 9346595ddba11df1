// `sanctum audit`: what reads the trail. All but `accept` reads the files, so it works without a running gateway.

import { Command } from "commander";
import type { Told } from "../admin/admin-server.ts";
import type { ChainPosition } from "../layers/audit/index.ts";
import { auditExportCommand } from "./audit-export.ts";
import { auditQueryCommand } from "./audit-query.ts";
import { auditShowCommand } from "./audit-show.ts";
import { auditTailCommand } from "./audit-tail.ts";
import type { AuditVault } from "./audit-vault.ts";
import { auditAcceptCommand, auditVerifyCommand } from "./audit-verify.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

export interface AuditCommandParts {
  readonly settings: () => Promise<Settings>;
  /** Where the running gateway says its chain stands; null: none runs, or its trail is faulty. */
  readonly anchor: () => Promise<ChainPosition | null>;
  /** The keys of the trail's seals and contents. */
  readonly vault: Pick<AuditVault, "seals" | "contentKey">;
  /** Closes the alarms of the running gateway. */
  readonly accept: () => Promise<Told>;
  /** Ends `tail -f`. */
  readonly signal?: AbortSignal;
}

/** `sanctum audit …` */
export function auditCommand(io: Io, parts: AuditCommandParts): Command {
  return new Command("audit")
    .description("read, check and sum up the audit trail")
    .addCommand(auditTailCommand(io, parts))
    .addCommand(auditShowCommand(io, parts))
    .addCommand(auditVerifyCommand(io, parts))
    .addCommand(auditAcceptCommand(io, parts))
    .addCommand(auditQueryCommand(io, parts.settings))
    .addCommand(auditExportCommand(io, parts.settings));
}
