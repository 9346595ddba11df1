import type { Provider } from "../request.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";

/** What kind of server a provider is; `server-profiles.ts` says what that kind takes. */
export function profileOf(provider: Provider): ServerKind {
  return serverKindOf(provider);
}
