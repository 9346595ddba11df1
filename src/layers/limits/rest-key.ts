// Under which names accounts and models are left alone.

/** What follows an account's name before that of a model: no agent and no provider is called so. */
const between = "\n/";

/** An account's model, or models that are limited together. */
export function modelRestKey(account: string, model: string): string {
  return modelsOf(account) + model;
}

/** Prefix of the models of an account. */
export function modelsOf(account: string): string {
  return `${account}${between}`;
}
