// What is wrong, since when, and what to do.

import type { Document } from "./document.ts";

export interface Problem {
  readonly title: string;
  readonly since?: string | undefined;
  readonly details?: readonly string[];
  readonly remedy?: string;
  readonly grave: boolean;
}

export function problemsOf(document: Document): Problem[] {
  return [...ownProblems(document), ...providerProblems(document)];
}

function ownProblems({ config, audit, ledger, overload, missing_models: missing }: Document): Problem[] {
  const problems: Problem[] = [];
  if (config.fault !== null) {
    problems.push({
      title: "The configuration file is refused; the one before stays in force",
      since: config.fault.since,
      details: config.fault.messages,
      remedy: "Correct the file: it is read again when it is saved.",
      grave: true,
    });
  }
  if (audit.fault !== null) {
    problems.push({
      title: "The audit trail cannot be written",
      since: audit.fault.since,
      details: [audit.fault.message],
      remedy: "Requests are refused until it can, unless the configuration says otherwise.",
      grave: true,
    });
  }
  for (const { at, text } of audit.alarms ?? []) {
    problems.push({ title: text, since: at, remedy: "sanctum audit verify tells more.", grave: true });
  }
  if (typeof audit.seal?.fault === "string") {
    problems.push({ title: "The audit trail is not sealed at present", details: [audit.seal.fault], grave: false });
  }
  if (ledger.fault !== null) problems.push({ title: "Nothing is spent", details: [ledger.fault], grave: true });
  if (overload !== undefined && overload.level !== "none") {
    problems.push({
      title: "The gateway is overloaded and turns new work away",
      details: overload.reasons,
      grave: true,
    });
  }
  for (const { name, message } of missing ?? []) {
    problems.push({ title: `${name} has no model behind it`, details: [message], grave: false });
  }
  return problems;
}

function providerProblems({ providers }: Document): Problem[] {
  const all = Object.entries(providers);
  // Nobody has an account everywhere: a missing key is a problem only where nothing else could serve.
  const usable = all.some(([, { key }]) => key === "ok" || key === "none");
  const problems: Problem[] = [];
  for (const [name, { state, key }] of all) {
    if (key === "rejected") {
      problems.push({ title: `${name} refuses its key`, remedy: `sanctum keys set ${name}`, grave: true });
    }
    if (key === "locked") {
      problems.push({
        title: `The key of ${name} is locked`,
        remedy: "Unlock the keychain or the vault.",
        grave: false,
      });
    }
    if (state === "open") {
      problems.push({
        title: `${name} failed too often and is left alone for a while`,
        remedy: "Others answer meanwhile. One request will find out when it is back.",
        grave: false,
      });
    }
  }
  if (!usable && all.length > 0) {
    problems.push({
      title: "No provider can be used",
      remedy: "Store a key (sanctum keys set PROVIDER), or start a local model server such as Ollama.",
      grave: true,
    });
  }
  return problems;
}
