// The one place for what nobody has foreseen: the process ends, since nobody knows what state it is in. The next start
// settles what was open, as after any crash.

/** Its name, its code and where it came from; not its message, which may hold what a client or an upstream wrote. */
export function fatalText(error: unknown): string {
  if (!(error instanceof Error)) return `fatal: ${typeof error} was thrown`;
  const code =
    "code" in error && typeof error.code === "string" && /^[A-Z][A-Z0-9_]*$/.test(error.code) ? ` ${error.code}` : "";
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return [`fatal: ${/^\w+$/.test(error.name) ? error.name : "Error"}${code}; the gateway ends`, ...frames].join("\n");
}

/** From here on whatever is thrown and caught by nobody ends the process with 1. */
export function endOnFatal(report: (line: string) => void): void {
  const end = (error: unknown): void => {
    report(fatalText(error));
    process.exit(1);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
