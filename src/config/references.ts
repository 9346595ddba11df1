// What one part of the file says about another: names that must exist, values that must not meet. Works on unchecked data
// and skips what has the wrong shape, so that one fault does not hide another.

import { isPublicListen, parseListen, parseProviderUrl } from "./addresses.ts";
import type { CheckOptions } from "./check.ts";
import {
  billingHosts,
  builtInAliases,
  builtInProviders,
  defaultListen,
  defaultRetry,
  discoverableProviders,
} from "./defaults.ts";
import { nearest, say } from "./fault.ts";
import type { KeyPath } from "./fault.ts";
import { parseDuration } from "./quantities.ts";

export interface Misfit {
  readonly path: KeyPath;
  readonly at: "key" | "value";
  readonly message: string;
}

/** `data` is what the YAML parser gave, unchecked. */
export function checkReferences(data: unknown, options: CheckOptions): Misfit[] {
  const file = asMap(data);
  return [
    ...checkListen(file),
    ...checkTokens(file),
    ...checkProviders(file),
    ...checkModels(file),
    ...checkUses(file, options),
    ...checkRoutes(file),
  ];
}

type Data = Readonly<Record<string, unknown>>;

function asMap(value: unknown): Data {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Data) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function entriesOf(value: unknown): [string, Data][] {
  return Object.entries(asMap(value)).map(([name, entry]) => [name, asMap(entry)]);
}

function* checkListen(file: Data): Generator<Misfit> {
  const inList = Array.isArray(file["listen"]);
  const seen = new Set<string>();
  for (const [index, text] of (inList ? asList(file["listen"]) : [file["listen"]]).entries()) {
    const address = typeof text === "string" ? parseListen(text) : undefined;
    if (address === undefined) continue;
    const path = inList ? ["listen", index] : ["listen"];
    if (seen.has(address.text) && address.port !== 0) {
      yield { path, at: "value", message: say("is given twice", "keep one of them") };
    }
    seen.add(address.text);
    if (isPublicListen(address) && (file["tls"] === undefined || file["tls"] === null)) {
      const remedy = "add tls: { cert_file, key_file }, or listen on a loopback or private address";
      yield { path, at: "value", message: say("is (or includes) a public address, without tls", remedy) };
    }
  }
}

function* checkTokens(file: Data): Generator<Misfit> {
  const owners = new Map<string, string>();
  for (const [name, agent] of entriesOf(file["agents"])) {
    for (const [index, hash] of asList(agent["tokens"]).entries()) {
      if (typeof hash !== "string") continue;
      // What follows the hash says how long it holds, not whose it is.
      const token = hash.toLowerCase().split(" ", 1)[0]!;
      const owner = owners.get(token);
      owners.set(token, name);
      if (owner === undefined) continue;
      const problem = owner === name ? "is given twice" : "is the token of another agent too";
      yield {
        path: ["agents", name, "tokens", index],
        at: "value",
        message: say(problem, "a token belongs to one agent: remove one, or run `sanctum agents rotate`"),
      };
    }
  }
}

/** What would be a credential in a file that is committed to git, or would break the gateway's own framing. */
const credentialHeader =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie2?|.*api-?key|.*(?:token|secret|password|credential)s?|x-goog-api-key)$/i;
const framingHeader =
  /^(?:host|connection|keep-alive|content-length|content-type|content-encoding|transfer-encoding|accept-encoding|te|trailer|upgrade|expect|proxy-connection|x-forwarded-.*|forwarded|via)$/i;

function* checkProviders(file: Data): Generator<Misfit> {
  for (const [name, provider] of entriesOf(file["providers"])) {
    const path = ["providers", name];
    if (!builtInProviders.has(name) && provider["url"] === undefined) {
      yield { path: [...path, "url"], at: "value", message: say("is missing", "write the base URL of the provider") };
    }
    yield* checkLocal(name, provider, path);
    yield* checkLoop(provider, path, file["listen"]);
    yield* checkHeaders(provider, path);
    const dialects = asList(provider["dialects"]);
    if (new Set(dialects).size < dialects.length) {
      yield { path: [...path, "dialects"], at: "value", message: say("names a dialect twice", "name each once") };
    }
    const retry = asMap(provider["retry"]);
    const base = typeof retry["base"] === "string" ? parseDuration(retry["base"]) : undefined;
    const max = typeof retry["max"] === "string" ? parseDuration(retry["max"]) : undefined;
    if ((base ?? defaultRetry.baseMs) > (max ?? defaultRetry.maxMs)) {
      yield {
        path: [...path, "retry"],
        at: "key",
        message: say("has a base above its max", "raise max or lower base"),
      };
    }
  }
}

function* checkLocal(name: string, provider: Data, path: KeyPath): Generator<Misfit> {
  if (provider["local"] !== true) return;
  const written = typeof provider["url"] === "string" ? provider["url"] : (builtInProviders.get(name)?.url ?? "");
  const parsed = parseProviderUrl(written);
  const url = "url" in parsed ? URL.parse(parsed.url) : null;
  if (url === null || !billingHosts.has(url.hostname.replace(/\.$/, ""))) return;
  const message = say("is true for a vendor that sends bills, so that its cost would count as 0", "remove local");
  yield { path: [...path, "local"], at: "value", message };
}

/** A gateway that is its own provider would ask itself until it runs out of connections. */
function* checkLoop(provider: Data, path: KeyPath, listen: unknown): Generator<Misfit> {
  if (typeof provider["url"] !== "string") return;
  const parsed = parseProviderUrl(provider["url"]);
  const url = "url" in parsed ? URL.parse(parsed.url) : null;
  if (url === null || !isLoopbackName(url.hostname)) return;
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  const own = (Array.isArray(listen) ? listen : [listen ?? defaultListen]).flatMap((text: unknown) =>
    typeof text === "string" ? (parseListen(text) ?? []) : [],
  );
  if (!own.some((address) => address.port === port)) return;
  const message = say("is the address of this gateway", "write the address of the provider");
  yield { path: [...path, "url"], at: "value", message };
}

function isLoopbackName(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function* checkHeaders(provider: Data, path: KeyPath): Generator<Misfit> {
  const seen = new Set<string>();
  for (const header of Object.keys(asMap(provider["headers"]))) {
    const at = { path: [...path, "headers", header], at: "key" } as const;
    if (credentialHeader.test(header)) {
      const remedy = "remove it and store the key with `sanctum keys set PROVIDER`; the gateway sends it";
      yield { ...at, message: say("is a header for credentials", remedy) };
    } else if (framingHeader.test(header)) {
      yield { ...at, message: say("is a header that the gateway sets itself", "remove it") };
    } else if (seen.has(header.toLowerCase())) {
      yield { ...at, message: say("is given twice (case does not count)", "keep one of them") };
    }
    seen.add(header.toLowerCase());
  }
}

function providerNames(file: Data): Set<string> {
  return new Set([...builtInProviders.keys(), ...discoverableProviders, ...Object.keys(asMap(file["providers"]))]);
}

function* checkModels(file: Data): Generator<Misfit> {
  const known = providerNames(file);
  for (const [alias, model] of entriesOf(file["models"])) {
    const provider = model["provider"];
    if (typeof provider !== "string" || known.has(provider)) continue;
    const remedy = didYouMean(provider, known) ?? "define it under providers";
    yield { path: ["models", alias, "provider"], at: "value", message: say("is not a known provider", remedy) };
  }
}

function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const meant = nearest(word, known);
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

/** `fallback` and every route's `use`. */
function* checkUses(file: Data, options: CheckOptions): Generator<Misfit> {
  const uses: { path: KeyPath; name: unknown }[] = [];
  for (const [index, name] of asList(file["fallback"]).entries()) uses.push({ path: ["fallback", index], name });
  for (const [index, route] of asList(file["routes"]).entries()) {
    for (const [place, name] of asList(asMap(route)["use"]).entries()) {
      uses.push({ path: ["routes", index, "use", place], name });
    }
  }
  const providers = providerNames(file);
  const aliases = [...Object.keys(asMap(file["models"])), ...builtInAliases];
  for (const { path, name } of uses) {
    if (typeof name !== "string") continue;
    const message = misfitOfModel(name, aliases, providers, options);
    if (message !== undefined) yield { path, at: "value", message };
  }
}

// interface.md 3: names that only fit a vendor's naming are tried there.
const vendorName = /^(?:claude-.|gpt-.|chatgpt-.|o[0-9])/;

function misfitOfModel(
  name: string,
  aliases: readonly string[],
  providers: ReadonlySet<string>,
  options: CheckOptions,
): string | undefined {
  if (aliases.includes(name)) return undefined;
  if (name.startsWith("sanctum/")) {
    return say("is a name that agents ask for, not a model", "name the models themselves");
  }
  const slash = name.indexOf("/");
  if (slash > 0) {
    const prefix = name.slice(0, slash);
    if (slash === name.length - 1) return say("names a provider but no model", "write provider/model");
    if (providers.has(prefix)) return undefined;
    // OpenRouter's names are vendor/model, so that an unknown prefix may be meant; one that is nearly ours is not.
    const meant = didYouMean(prefix, providers);
    return meant === undefined ? undefined : say("begins with an unknown provider", meant);
  }
  if (vendorName.test(name) || options.isKnownModel?.(name) === true) return undefined;
  return say("is not a known model", didYouMean(name, aliases) ?? "define it under models, or write provider/model");
}

function* checkRoutes(file: Data): Generator<Misfit> {
  const agents = new Set([...Object.keys(asMap(file["agents"])), "default"]);
  const seen = new Set<string>();
  for (const [index, entry] of asList(file["routes"]).entries()) {
    const route = asMap(entry);
    const name = route["name"];
    if (typeof name === "string") {
      const path = ["routes", index, "name"];
      if (name === "default") {
        yield { path, at: "value", message: say("is the name of having no route", "choose another name") };
      } else if (seen.has(name)) {
        yield { path, at: "value", message: say("is the name of another route too", "choose another name") };
      }
      seen.add(name);
    }
    const when = asMap(route["when"]);
    const agent = when["agent"];
    if (typeof agent === "string" && !agents.has(agent)) {
      const remedy = didYouMean(agent, agents) ?? "define it under agents";
      yield { path: ["routes", index, "when", "agent"], at: "value", message: say("is not a known agent", remedy) };
    }
    const header = asMap(when["header"])["name"];
    if (typeof header === "string" && credentialHeader.test(header)) {
      const path = ["routes", index, "when", "header", "name"];
      yield { path, at: "value", message: say("is a header for credentials", "match on another header") };
    }
  }
}
