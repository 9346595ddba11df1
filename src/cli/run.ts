import { join } from "node:path";
import { Command } from "commander";
import { NotRunningError } from "../admin/admin-client.ts";
import { leaseToken, UnknownAgentError, type TokenLease } from "../admin/token-lease.ts";
import { clientAddressOf, type ClientAddress } from "./client-address.ts";
import { clientEnvironment, type ClientEnvironment } from "./client-environment.ts";
import type { Io } from "./io.ts";
import { endAs, runChild } from "./run-child.ts";

const exitFailed = 1;
const exitUsage = 2;
/** As shells and `env` say it. */
const exitNotExecutable = 126;
const exitNotFound = 127;

/** `sanctum run AGENT -- COMMAND…`: a client with the gateway's address and a token of its own in its environment. */
export function runCommand(io: Io): Command {
  return new Command("run")
    .description("start a client as an agent, with a token that ends with it")
    .argument("<agent>", "whose caps and rights it has; `sanctum agents list` shows the agents")
    .argument("[command...]", "the client and its arguments, after --")
    .option("--unix", "for a program that talks over a Unix socket: sets SANCTUM_SOCKET and no base URL")
    .addHelpText("after", help)
    .action(async (agent: string, command: readonly string[], { unix }: { unix?: boolean }) => {
      if (command.length === 0) {
        io.err(`sanctum: no command; write it after --: sanctum run ${agent} -- claude\n`);
        process.exitCode = exitUsage;
        return;
      }
      try {
        using lease = await leaseToken(join(io.home, "run/admin.sock"), agent);
        await runWith(io, lease, command, unix === true);
      } catch (error) {
        io.err(`sanctum: ${textOf(error)}\n`);
        process.exitCode = exitFailed;
      }
    });
}

const help = `
The command gets ANTHROPIC_BASE_URL, ANTHROPIC_AUTH_TOKEN, ANTHROPIC_API_KEY (not claude, which takes one of the two),
OPENAI_BASE_URL, OPENAI_API_BASE, OPENAI_API_BASE_URL, OPENAI_API_KEY, SANCTUM_BASE_URL and SANCTUM_TOKEN. Keys of other
vendors, and settings that lead past the gateway, are taken out of its environment; which ones is said.
Codex finds its gateway in its own file and its token here: see \`sanctum connect codex\`.

The token ends with the command, with this process however it ends, and when the gateway stops; a restart keeps it. Signals are passed on, but for
those that a terminal sends to both; the exit code is the command's (127: not found, 126: not executable).

Examples:
  sanctum run windu -- claude
  sanctum run jocasta -- python summarise.py --all
  sanctum run windu -- sh -c 'curl "$SANCTUM_BASE_URL/v1/models" -H "authorization: Bearer $SANCTUM_TOKEN"'
`;

async function runWith(io: Io, lease: TokenLease, command: readonly string[], unix: boolean): Promise<void> {
  const address = addressFor(lease.addresses, unix);
  if ("problem" in address) {
    io.err(`sanctum: ${address.problem}\n`);
    process.exitCode = exitFailed;
    return;
  }
  const program = command[0]!;
  const environment = clientEnvironment(io.env, address, lease.token.reveal(), program);
  lease.token.wipe();
  tellChanges(io, environment);
  let ended = false;
  const loss = lease.lost.then((reason) => {
    if (!ended) io.err(`sanctum: ${reason}: the token of this command has ended; start it again with sanctum run\n`);
  });
  try {
    const ending = await runChild(command, { env: environment.env, terminal: io.atTerminal === true });
    ended = true;
    lease[Symbol.dispose]();
    await loss;
    endAs(ending);
  } catch (error) {
    ended = true;
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOENT" && code !== "EACCES" && code !== "ENOEXEC" && code !== "EPERM") throw error;
    const missing = code === "ENOENT";
    io.err(`sanctum: ${program}: ${missing ? "there is no such command" : "can't be executed"}\n`);
    process.exitCode = missing ? exitNotFound : exitNotExecutable;
  }
}

function addressFor(listeners: readonly string[], unix: boolean): ClientAddress | { readonly problem: string } {
  if (unix) {
    const socket = listeners.find((listener) => listener.startsWith("unix:"));
    if (socket !== undefined) return clientAddressOf([socket])!;
    return {
      problem: 'the gateway listens on no Unix socket; add "unix:/path" to `listen`, restart, or leave --unix out',
    };
  }
  const address = clientAddressOf(listeners);
  if (address !== undefined && "url" in address) return address;
  return {
    problem:
      "the gateway listens on a Unix socket alone, and clients take their gateway as a URL: add 127.0.0.1:4040 to `listen` and restart, or, for a program that talks over the socket itself, use sanctum run --unix",
  };
}

function tellChanges(io: Io, { replaced, removed }: ClientEnvironment): void {
  if (replaced.length > 0) io.err(`sanctum: replaced for this command: ${replaced.join(", ")}\n`);
  if (removed.length > 0) io.err(`sanctum: taken out for this command: ${removed.join(", ")}\n`);
}

function textOf(error: unknown): string {
  if (error instanceof NotRunningError) return error.message;
  if (error instanceof UnknownAgentError) {
    return `${error.message}; known: ${error.known.join(", ")}. Add one with \`sanctum agents add NAME\`.`;
  }
  return error instanceof Error ? error.message : String(error);
}
