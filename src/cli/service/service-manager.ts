import type { InstalledService, SameUser, SeparateUser, ServiceState } from "./service-plan.ts";
import type { Step } from "./step.ts";
import type { System } from "./system.ts";

/** Who starts services on this machine. */
export interface ServiceManager {
  readonly name: "systemd" | "launchd";
  /** Throws a Refusal that says what to do where this machine, or who calls, can't have a service of this kind. */
  require(system: System, service: SameUser | SeparateUser): Promise<void>;
  /** What to do, in order; doing it twice is as good as once. Looks at the machine and changes nothing. */
  installSteps(system: System, service: SameUser | SeparateUser): Promise<Step[]>;
  /** `purge`: the data too. Throws a Refusal where that is not safe. */
  uninstallSteps(system: System, service: InstalledService, purge: boolean): Promise<Step[]>;
  /** Whether it runs now. Never throws. */
  state(system: System, service: InstalledService): Promise<ServiceState>;
  /** Commands that show what it printed. */
  logCommand(service: InstalledService): readonly string[];
}
