// What others may import. The JSON Schema of editors is not here: it needs a development dependency.

export { createToken, hashToken } from "./agent-token.ts";
export type { AgentToken } from "./agent-token.ts";
export { localProvider } from "./build.ts";
export { checkConfig } from "./check.ts";
export type { CheckOptions } from "./check.ts";
export { builtInAliases, builtInProviders, defaultRetry, discoverableProviders, localTimeouts } from "./defaults.ts";
export { addAgent, removeAgent, rotateAgent } from "./edit-agents.ts";
export type { Edit, NewAgent } from "./edit-agents.ts";
export { editConfig } from "./edit-file.ts";
export type { EditResult } from "./edit-file.ts";
export { formatFault } from "./fault.ts";
export { Generations } from "./generations.ts";
export type { Generation, GenerationsOptions } from "./generations.ts";
export { loadConfigApart } from "./load-apart.ts";
export { checkConfigFile, loadConfig } from "./load.ts";
export type { Environment } from "./load.ts";
export { readConfigText } from "./read-file.ts";
export type { ConfigText } from "./read-file.ts";
export { findSecrets } from "./secret-scan.ts";
export type * from "./types.ts";
export { watchConfig } from "./watch.ts";
export type { WatchOptions } from "./watch.ts";
