// The configuration after it was read, checked and completed by defaults: immutable, and without secrets.

import type { Agent, Price, Provider } from "../request.ts";
import type { TokenText } from "./token-text.ts";
import type { Dialect } from "../wire/neutral.ts";

export interface Config {
  readonly listen: readonly ListenAddress[];
  /** Host names that the door accepts beside the listen addresses and `localhost`. */
  readonly hostNames: readonly string[];
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** IANA zone; `local` is already resolved. */
  readonly timezone: string;
  readonly anonymous: "loopback" | "never";
  /** Always holds `default`. `auth` is filled in per request. */
  readonly agents: ReadonlyMap<string, AgentEntry>;
  /** Built-in ones included (unless the file redefines them), discovered ones not. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** Aliases. */
  readonly models: ReadonlyMap<string, ModelEntry>;
  /** Names of models; undefined: not set in the file, so the built-in rule holds. */
  readonly fallback: readonly string[] | undefined;
  readonly routes: readonly RouteRule[];
  readonly takeover: "off" | "text";
  /** Milliseconds of silence after which the client of a stream gets a sign of life. */
  readonly keepAliveMs: number;
  /** Milliseconds that running requests have after the gateway was told to stop. */
  readonly stopGraceMs: number;
  /** Requests that may run at once. */
  readonly mostInFlight: number;
  /** All attempts of one request together: until an answer has begun, and times the dearest of them. */
  readonly attempts: { readonly deadlineMs: number; readonly costFactor: number };
  /** `identityFile`: absolute path of an age identity. */
  readonly vault: { readonly identityFile: string | undefined };
  /** `dialog`: a missing key may be asked for on the desktop. */
  readonly keys: { readonly dialog: boolean };
  /** The providers that the file speaks of, whether it defines them or not. */
  readonly namedProviders: ReadonlySet<string>;
  readonly audit: AuditConfig;
  readonly stats: { readonly access: "loopback" | "token" };
}

export interface ListenAddress {
  /** As written, for messages: `127.0.0.1:4040`, `[::1]:4040`, `unix:/run/x.sock`. */
  readonly text: string;
  readonly host: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number | undefined;
  readonly socketPath: string | undefined;
  readonly loopback: boolean;
}

export interface AgentEntry extends Omit<Agent, "auth"> {
  readonly tokens: readonly TokenText[];
}

export interface ModelEntry {
  readonly name: string;
  readonly provider: string;
  readonly model: string;
  readonly context: number | undefined;
  readonly maxOutput: number | undefined;
  readonly price: Price | undefined;
}

export interface RouteRule {
  readonly name: string;
  readonly when: RouteConditions;
  readonly use: readonly string[];
}

/** All that are present must hold. */
export interface RouteConditions {
  readonly model: string | undefined;
  readonly agent: string | undefined;
  readonly intent: string | undefined;
  readonly dialect: Dialect | undefined;
  readonly inputTokens: { readonly below: number | undefined; readonly above: number | undefined } | undefined;
  readonly has:
    | { readonly tools?: boolean; readonly images?: boolean; readonly thinking?: boolean; readonly json?: boolean }
    | undefined;
  /** Local time of day in minutes; `from` > `to` crosses midnight. */
  readonly time: { readonly from: number; readonly to: number } | undefined;
  /** Share of the daily cap, 0…1. */
  readonly budgetUsed: { readonly below: number | undefined; readonly above: number | undefined } | undefined;
  readonly header: { readonly name: string; readonly value: string } | undefined;
}

export interface AuditConfig {
  /** Absolute path. */
  readonly file: string;
  readonly content: "none" | "sha256" | "full";
  /** `every`: also at the end of each; undefined: by size alone. */
  readonly rotate: {
    readonly sizeBytes: number;
    readonly keep: number;
    readonly every: "day" | "week" | "month" | undefined;
  };
  /** Of `content: full`. `recipient`: an age recipient, whose identity alone opens the files. */
  readonly contentFiles: { readonly keepMs: number; readonly recipient: string | undefined };
  readonly onFailure: "refuse" | "continue";
}

/** What is wrong with a configuration, and what to do. */
export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** E.g. `agents.windu.daily_usd`. */
  readonly keyPath: string;
  readonly problem: string;
  readonly remedy: string;
}
