export { createAuthenticator, type Caller, type Claim, type IdentityConfig } from "./authenticate.ts";
export { identify } from "./identify.ts";
export { TokenTable } from "./tokens.ts";
