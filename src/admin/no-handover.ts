import type { HandoverActions } from "./handover-routes.ts";

/** A gateway of a test that nobody takes over from. */
export const noHandover: HandoverActions = {
  begin: () => {
    throw new Error("nothing is handed over here");
  },
  take: () => Promise.reject(new Error("nothing is handed over here")),
  vaultKey: () => null,
  done: () => undefined,
  failed: async () => undefined,
  attach: () => null,
  errands: async () => null,
};
