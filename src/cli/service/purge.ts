import { join } from "node:path";
import { exitFailed, Refusal } from "../refusal.ts";
import type { Step } from "./step.ts";
import type { System } from "./system.ts";

/** Deletes a SANCTUM_HOME. Throws a Refusal where the folder does not look like one: a wrong setting must not cost more. */
export function dataSteps(system: Pick<System, "exists">, home: string): Step[] {
  if (!system.exists(home)) return [];
  if (!system.exists(join(home, "state/ledger.sqlite"))) {
    throw new Refusal(exitFailed, `--purge: ${home} holds no ledger of a gateway; delete it yourself if you mean it`);
  }
  return [{ does: "remove", why: "delete configuration, books and vault", path: home }];
}
