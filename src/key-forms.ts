// What keys look like, and whose they are: one table for the search of the configuration, for `sanctum keys import`, and for
// the question to whom a client's own credential may go. Forms are the prefixes that vendors publish (GitHub secret
// scanning's list of supported patterns names the same); each is a fixed start and one bounded run, so that a search is
// linear.

export interface KeyForm {
  /** Of a regular expression, without anchors. */
  readonly pattern: string;
  /** Whose keys begin so; null: several vendors' do, or it opens no model. */
  readonly vendor: string | null;
  /**
   * `key`: of a vendor's API. `login`: of a subscription, which its own client renews. `admin`: manages an account and answers no
   * prompt. `gateway`: a token of this gateway. `other`: a secret of another kind.
   */
  readonly kind: "key" | "login" | "admin" | "gateway" | "other";
}

/** The first that fits counts. */
export const keyForms: readonly KeyForm[] = [
  { pattern: "sk-sanctum-[A-Za-z0-9_-]{20,400}", vendor: null, kind: "gateway" },
  { pattern: "sk-ant-o[ar]t[A-Za-z0-9_-]{8,400}", vendor: "anthropic", kind: "login" },
  { pattern: "sk-ant-admin[A-Za-z0-9_-]{8,400}", vendor: "anthropic", kind: "admin" },
  { pattern: "sk-ant-[A-Za-z0-9_-]{8,400}", vendor: "anthropic", kind: "key" },
  { pattern: "sk-or-[A-Za-z0-9_-]{8,400}", vendor: "openrouter", kind: "key" },
  { pattern: "sk-admin-[A-Za-z0-9_-]{8,400}", vendor: "openai", kind: "admin" },
  { pattern: "sk-(?:proj|svcacct)-[A-Za-z0-9_-]{8,400}", vendor: "openai", kind: "key" },
  { pattern: "sk-[A-Za-z0-9_-]{20,400}", vendor: null, kind: "key" }, // OpenAI's older ones, DeepSeek and many more
  { pattern: "AIza[A-Za-z0-9_-]{30,100}", vendor: "google", kind: "key" },
  { pattern: "gsk_[A-Za-z0-9]{20,100}", vendor: "groq", kind: "key" },
  { pattern: "xai-[A-Za-z0-9_-]{20,200}", vendor: "xai", kind: "key" },
  { pattern: "pplx-[A-Za-z0-9]{20,100}", vendor: "perplexity", kind: "key" },
  { pattern: "nvapi-[A-Za-z0-9_-]{20,200}", vendor: "nvidia", kind: "key" },
  { pattern: "csk-[A-Za-z0-9]{30,100}", vendor: "cerebras", kind: "key" },
  { pattern: "tgp_v1_[A-Za-z0-9_-]{30,100}", vendor: "together", kind: "key" },
  { pattern: "hf_[A-Za-z0-9]{20,100}", vendor: "huggingface", kind: "key" },
  { pattern: "gh[oprsu]_[A-Za-z0-9]{20,300}", vendor: null, kind: "other" },
  { pattern: "github_pat_[A-Za-z0-9_]{20,300}", vendor: null, kind: "other" },
  { pattern: "glpat-[A-Za-z0-9_-]{16,100}", vendor: null, kind: "other" },
  { pattern: "xox[abeoprs]-[A-Za-z0-9-]{10,200}", vendor: null, kind: "other" },
  { pattern: "(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", vendor: null, kind: "other" },
  { pattern: "AGE-SECRET-KEY-1[A-Z0-9]{20,100}", vendor: null, kind: "other" },
  // JSON Web Token, RFC 7519.
  { pattern: "eyJ[A-Za-z0-9_-]{10,4000}\\.eyJ[A-Za-z0-9_-]{10,4000}", vendor: null, kind: "other" },
  { pattern: "Bearer\\s{1,4}[A-Za-z0-9._~+/-]{20,400}", vendor: null, kind: "other" },
  { pattern: "-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY", vendor: null, kind: "other" }, // RFC 7468
];

const whole = keyForms.map((form) => ({ form, expression: new RegExp(`^(?:${form.pattern})$`) }));

/** The form that all of this text has; null: none that is known. */
export function formOf(text: string): KeyForm | null {
  return whole.find(({ expression }) => expression.test(text))?.form ?? null;
}

export interface Vendor {
  /** The usual name of its provider in a configuration. */
  readonly name: string;
  /** What people and tools call it, in names of variables and settings, in lower case. */
  readonly words: readonly string[];
  /** As a provider of the configuration. */
  readonly url: string;
  readonly dialect: "messages" | "chat" | "responses";
  /** Where its keys are made and withdrawn. */
  readonly keysPage: string;
}

/** Vendors whose keys people keep. The addresses are those of their APIs that speak one of our dialects. */
export const vendors: readonly Vendor[] = [
  v("anthropic", "https://api.anthropic.com", "https://platform.claude.com/settings/keys", ["claude"], "messages"),
  v("openrouter", "https://openrouter.ai/api/v1", "https://openrouter.ai/settings/keys"),
  v("openai", "https://api.openai.com/v1", "https://platform.openai.com/api-keys"),
  v("google", "https://generativelanguage.googleapis.com/v1beta/openai", "https://aistudio.google.com/apikey", [
    "gemini",
  ]),
  v("groq", "https://api.groq.com/openai/v1", "https://console.groq.com/keys"),
  v("xai", "https://api.x.ai/v1", "https://console.x.ai", ["grok"]),
  v("mistral", "https://api.mistral.ai/v1", "https://console.mistral.ai/api-keys"),
  v("deepseek", "https://api.deepseek.com/v1", "https://platform.deepseek.com/api_keys"),
  v("perplexity", "https://api.perplexity.ai", "https://www.perplexity.ai/settings/api", ["pplx"]),
  v("together", "https://api.together.xyz/v1", "https://api.together.ai/settings/api-keys", ["togetherai"]),
  v("fireworks", "https://api.fireworks.ai/inference/v1", "https://app.fireworks.ai/settings/users/api-keys"),
  v("cerebras", "https://api.cerebras.ai/v1", "https://cloud.cerebras.ai"),
  v("cohere", "https://api.cohere.ai/compatibility/v1", "https://dashboard.cohere.com/api-keys"),
  v("nvidia", "https://integrate.api.nvidia.com/v1", "https://build.nvidia.com", ["nim"]),
  v("huggingface", "https://router.huggingface.co/v1", "https://huggingface.co/settings/tokens", ["hf"]),
];

function v(
  name: string,
  url: string,
  keysPage: string,
  otherWords: readonly string[] = [],
  dialect: Vendor["dialect"] = "chat",
): Vendor {
  return { name, url, keysPage, dialect, words: [name, ...otherWords] };
}

/** The vendor at this address, or at one below its domain; null: none that is known. */
export function vendorAt(url: string): Vendor | null {
  const host = hostOf(url);
  if (host === null) return null;
  return vendors.find((vendor) => isUnder(host, domainOf(hostOf(vendor.url)!))) ?? null;
}

/** Null: it is no address. */
export function hostOf(url: string): string | null {
  try {
    return new URL(url).hostname;
  } catch {
    return null;
  }
}

/** The last two labels: none of the hosts above lies under a shared suffix. */
function domainOf(host: string): string {
  return host.split(".").slice(-2).join(".");
}

function isUnder(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}
