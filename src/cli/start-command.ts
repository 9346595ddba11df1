import { Command } from "commander";
import type { Io } from "./io.ts";

/** `sanctum start` with its help; `main.ts` runs the plain form without coming here. */
export function startCommand(io: Io): Command {
  return new Command("start").description("run the gateway in the foreground").action(async () => {
    const { runStart } = await import("./start.ts");
    await runStart(io);
  });
}
