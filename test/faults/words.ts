// What providers say when they fail, each in its own words.

import type { TestDialect } from "../fakes/house.ts";

/** No client must read it in a failure that is not its own. */
export const UPSTREAM_WORDS = "upstream says no";

export const overloaded: Readonly<Record<TestDialect, string>> = {
  messages: "overloaded_error",
  chat: "overloaded_error",
  responses: "server_is_overloaded",
};

export const limited: Readonly<Record<TestDialect, string>> = {
  messages: "rate_limit_error",
  chat: "rate_limit_exceeded",
  responses: "rate_limit_exceeded",
};
