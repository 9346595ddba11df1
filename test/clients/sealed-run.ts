// No client may speak to the outside. Where the system allows it, the whole run lives in a network of its own in which
// there is only the loopback; everywhere, proxy variables lead to a port where nobody listens.

const SEALED = "SANCTUM_CLIENTS_SEALED";
const onlyLoopback = 'ip link set lo up && exec "$@"';

/** Whether this process is in a network without a way out. */
export function isSealed(): boolean {
  return process.env[SEALED] === "1";
}

/** Runs this program again in a network of its own; its exit code, or null where the system has no such thing. */
export async function runSealed(): Promise<number | null> {
  if (isSealed() || process.platform !== "linux" || Bun.which("unshare") === null) return null;
  const inside = ["unshare", "--map-root-user", "--net", "sh", "-c", onlyLoopback, "sh"];
  const probe = Bun.spawnSync([...inside, "true"], { stdio: ["ignore", "ignore", "ignore"] });
  if (probe.exitCode !== 0) return null;
  const child = Bun.spawn([...inside, process.execPath, ...process.argv.slice(1)], {
    env: { ...process.env, [SEALED]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return child.exited;
}

/** The environment of a client: nothing of ours but the path to programs. Port 9 is "discard" (RFC 863). */
export function clientEnvironment(home: string, more: Readonly<Record<string, string>>): Record<string, string> {
  const nowhere = "http://127.0.0.1:9";
  const local = "127.0.0.1,localhost";
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: home,
    TMPDIR: home,
    LANG: "C.UTF-8",
    TERM: "dumb",
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    ALL_PROXY: nowhere,
    http_proxy: nowhere,
    https_proxy: nowhere,
    all_proxy: nowhere,
    NO_PROXY: local,
    no_proxy: local,
    ...more,
  };
}
