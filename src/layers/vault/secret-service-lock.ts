// Is the Linux keyring locked? Its own lookup does not tell: for a locked collection it opens a dialog, and then answers
// "not found". The property `Locked` of the default collection does, without a dialog (Secret Service API draft, "Collection").

const PROBE_TIMEOUT_MS = 2_000;

/** Both come with the D-Bus that a Secret Service needs; the first that exists is used. */
const probes: readonly (readonly string[])[] = [
  [
    "dbus-send",
    "--session",
    "--print-reply=literal",
    "--dest=org.freedesktop.secrets",
    "/org/freedesktop/secrets/aliases/default",
    "org.freedesktop.DBus.Properties.Get",
    "string:org.freedesktop.Secret.Collection",
    "string:Locked",
  ],
  [
    "busctl",
    "--user",
    "get-property",
    "org.freedesktop.secrets",
    "/org/freedesktop/secrets/aliases/default",
    "org.freedesktop.Secret.Collection",
    "Locked",
  ],
];

/** Linux only: without one of these variables no Secret Service can be reached, and its library need not be loaded (4 MB). */
export function hasSessionBus(env: Readonly<Record<string, string | undefined>>): boolean {
  return env["DBUS_SESSION_BUS_ADDRESS"] !== undefined || env["XDG_RUNTIME_DIR"] !== undefined;
}

/** Null: it can't be told (another system, no session bus, no such program, no default collection yet). Never throws. */
export async function secretServiceLocked(): Promise<boolean | null> {
  if (process.platform !== "linux") return null;
  const env = environment();
  // Without a session bus the programs would try to start one.
  if (!hasSessionBus(env)) return null;
  const probe = probes.find(([program]) => program !== undefined && Bun.which(program) !== null);
  return probe === undefined ? null : await run(probe, env);
}

function environment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

async function run(argv: readonly string[], env: Record<string, string>): Promise<boolean | null> {
  try {
    const child = Bun.spawn([...argv], {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: PROBE_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: 4_096,
    });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) return null;
    return /\btrue\b/.test(text);
  } catch {
    // The program vanished or may not be run: then the lookup itself has to tell.
    return null;
  }
}
