// The units for systemd. Pure: what is written, no writing.

import {
  gatewayHome,
  installedProgram,
  madeBy,
  ownCommand,
  userHome,
  type SameUser,
  type SeparateUser,
} from "./service-plan.ts";

export const unitName = "sanctum.service";
/** Where `LoadCredentialEncrypted=` looks for a credential without a path (systemd 252 and newer). */
export const credentialFolder = "/etc/credstore.encrypted";
export const passphraseCredential = "sanctum-vault-passphrase";

/** Above the longest `stop.grace` (5 min), with time to close the books. The gateway ends by its own, shorter deadline. */
const stopSeconds = 315;

/** What holds for both: how it is started, stopped, and started anew. */
const common = `
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
# 78: the configuration has faults, which do not go away by trying again.
RestartPreventExitStatus=78
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec=${stopSeconds}
UMask=0077
LimitNOFILE=65536
# Keys are in its memory: no image of it on a disk.
LimitCORE=0
MemorySwapMax=0
`.trim();

/** The separate-user mode: what agents run as can read nothing of it, and it can write nothing but its own folder. */
export function systemUnit({ user }: SeparateUser): string {
  return `${heading}
${unitSection}
After=network.target

[Service]
Type=exec
ExecStart=${installedProgram} start
User=${user}
Group=${user}
StateDirectory=${user}
StateDirectoryMode=0700
WorkingDirectory=${userHome(user)}
Environment=${unitWord(`SANCTUM_HOME=${gatewayHome(user)}`)}
# Opens vault.age. Made by systemd-creds(1), sealed to this machine; not needed where the vault is opened by hand.
LoadCredentialEncrypted=${passphraseCredential}
LoadCredentialEncrypted=sanctum-vault-identity
${common}
MemoryMax=1G
TasksMax=512

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateMounts=yes
DevicePolicy=closed
PrivateTmp=yes
PrivateUsers=yes
PrivateIPC=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# AF_NETLINK: to see whether the machine has an IPv6 loopback address.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# Not MemoryDenyWriteExecute: the runtime compiles JavaScript to machine code.

[Install]
WantedBy=multi-user.target
`;
}

/**
 * A service of the user who calls. No sandbox: it would keep key commands from working that gain rights by their own file
 * (1Password's \`op\` does), and who runs as the same user can change this file.
 */
export function userUnit(service: SameUser): string {
  return `${heading}
${unitSection}

[Service]
Type=exec
ExecStart=${ownCommand(service).map(execWord).join(" ")}
Environment=${unitWord(`SANCTUM_HOME=${service.home}`)}
${common}

[Install]
WantedBy=default.target
`;
}

const heading = `# ${madeBy}, which writes it anew each time: settings of your own belong into a drop-in
# (\`systemctl edit ${unitName}\`). \`sanctum service uninstall\` takes it away.`;

const unitSection = `[Unit]
Description=Sanctum Cloud Proxy
StartLimitIntervalSec=60
StartLimitBurst=5`;

/** systemd.syntax(7): in quotes, with its specifiers doubled. */
function unitWord(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%");
  return /[\s"'\\;#]/.test(text) ? `"${escaped}"` : escaped;
}

/** systemd.service(5), "Command lines": $ stands for variables there. */
function execWord(text: string): string {
  return unitWord(text.replaceAll("$", "$$$$"));
}

/** The settings of a unit that we have made; null: it is not ours. */
export function readUnit(
  text: string,
): { readonly user: string | null; readonly home: string; readonly command: string } | null {
  if (!text.startsWith(`# ${madeBy}`)) return null;
  const setting = (name: string): string | null => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1] ?? null;
  const environment = setting("Environment");
  if (environment === null) return null;
  const home = plainWord(environment).replace(/^SANCTUM_HOME=/, "");
  return { user: setting("User"), home, command: setting("ExecStart") ?? "" };
}

function plainWord(word: string): string {
  const inner = word.startsWith('"') ? word.slice(1, -1) : word;
  return inner.replaceAll("%%", "%").replaceAll(/\\(["\\])/g, "$1");
}
