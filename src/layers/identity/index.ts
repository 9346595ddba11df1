export { createAuthenticator, type Caller, type Claim, type IdentityConfig } from "./authenticate.ts";
export { identify } from "./identify.ts";
export { RunTokens } from "./run-tokens.ts";
export { TokenTable, digestOf, type TokenEntry } from "./tokens.ts";
