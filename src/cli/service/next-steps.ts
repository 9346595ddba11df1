import { gatewayHome, installedProgram, type SameUser, type SeparateUser } from "./service-plan.ts";
import type { ServiceManager } from "./service-manager.ts";
import { credentialFolder, passphraseCredential } from "./systemd-unit.ts";

/** What a person does after the installation, with the commands. */
export function nextSteps(manager: ServiceManager["name"], service: SameUser | SeparateUser): string {
  return service.mode === "same-user" ? sameUser(manager) : separateUser(manager, service.user);
}

function sameUser(manager: ServiceManager["name"]): string {
  const linger =
    manager === "systemd" ? "It runs while you are logged in; always: sudo loginctl enable-linger $USER\n" : "";
  return `The gateway runs as a service of yours, and starts when you log in.
${linger}
It is the same user as your agents: they can read what it can read. \`sanctum doctor\` tells what that means here, and
\`sanctum service install --user sanctum\` (as root) gives the gateway a user of its own.
`;
}

function separateUser(manager: ServiceManager["name"], user: string): string {
  const program = `sudo -H -u ${user} ${installedProgram}`;
  return `The gateway runs as the user ${user}, and starts with the machine.

Next:
  1. Give it keys. They go into a vault of its own, whose passphrase you choose when asked:
       ${program} keys set anthropic
  2. ${manager === "systemd" ? sealed : unlocked(program)}
  3. Give each agent a token; nothing else of the gateway is theirs:
       ${program} agents add windu --daily-usd 2
  4. Let nobody in without one, in ${gatewayHome(user)}/sanctum-proxy/config.yaml:
       identity: { anonymous: never }
  5. See what your agents could still do. Run it as the user under whom they run:
       ${installedProgram} doctor
     It also finds keys that you still have: in your keychain, your environment, your shell's start files.

A new version: install again in the same way. Running streams may finish before it takes over.
`;
}

const sealed = `Let it open the vault by itself. Type the same passphrase once more; it is sealed to this machine:
       sudo install -d -m 0700 ${credentialFolder}
       systemd-ask-password | sudo systemd-creds encrypt --name=${passphraseCredential} - ${credentialFolder}/${passphraseCredential}
       sudo systemctl restart sanctum`;

function unlocked(program: string): string {
  return `After each start of the machine, open the vault:
       ${program} keys unlock`;
}
