// Programs that some tests need and npm does not have.

/**
 * Makes sure that `program` is there: installed from Debian's package of that name where we are root. Throws an Error that
 * says what to install elsewhere.
 */
export function needProgram(program: string, why: string, debianPackage = program): void {
  if (Bun.which(program) !== null) return;
  if (process.getuid?.() !== 0 || Bun.which("apt-get") === null) {
    throw new Error(
      `${why} needs ${program}: on Debian \`apt-get install ${debianPackage}\`, or run the tests as root`,
    );
  }
  const script = `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${debianPackage}`;
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdout: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0 || Bun.which(program) === null) {
    throw new Error(`${why} needs ${program}, and it could not be installed: ${stderr.toString().slice(-500)}`);
  }
}
