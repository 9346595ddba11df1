// Which files people and tools keep provider keys in, by name, and how each is to be read.

export type Format = "lines" | "json" | "yaml" | "toml";

interface Kind {
  /** Of the path below the folder that was named, with slashes. */
  readonly pattern: RegExp;
  readonly format: Format;
}

const anywhere = "(?:^|/)";
const kind = (pattern: string, format: Format): Kind => ({ pattern: new RegExp(anywhere + pattern + "$"), format });

/** Sources of the formats: the tools' own documentation of their configuration. */
const kinds: readonly Kind[] = [
  // Variables a line: .env.local, app.env, direnv, Cloudflare's .dev.vars, systemd's environment.d, shells, shell_gpt.
  kind(String.raw`\.env(?:\.[^/]+)?`, "lines"),
  kind(String.raw`[^/]+\.env`, "lines"),
  kind(String.raw`\.(?:envrc|dev\.vars|flaskenv|sgptrc)`, "lines"),
  kind(String.raw`environment\.d/[^/]+\.conf`, "lines"),
  kind(
    String.raw`\.(?:bashrc|bash_profile|bash_login|bash_aliases|profile|zshrc|zshenv|zprofile|zlogin|kshrc)`,
    "lines",
  ),
  kind(String.raw`fish/(?:config\.fish|fish_variables|conf\.d/[^/]+\.fish)`, "lines"),
  // Compose's `environment`, LiteLLM's proxy, aichat, mods, goose.
  kind(String.raw`(?:docker-)?compose(?:[.-][^/]+)?\.ya?ml`, "yaml"),
  kind(String.raw`(?:litellm[^/]*|proxy_config|config)\.ya?ml`, "yaml"),
  kind(String.raw`mods/mods\.yml`, "yaml"),
  kind(String.raw`goose/secrets\.yaml`, "yaml"),
  // Aider: `openai-api-key`, `anthropic-api-key`, and a list `api-key: [provider=key]`.
  kind(String.raw`\.aider\.conf\.ya?ml`, "yaml"),
  // Continue.
  kind(String.raw`\.continue/config\.json`, "json"),
  // Claude Code: `env` of its settings, `primaryApiKey` of a console login; servers of the Model Context Protocol.
  kind(String.raw`\.claude/settings(?:\.local)?\.json`, "json"),
  kind(String.raw`\.claude\.json`, "json"),
  kind(String.raw`\.?mcp\.json`, "json"),
  kind(String.raw`claude_desktop_config\.json`, "json"),
  kind(String.raw`\.claude-code-router/config\.json`, "json"),
  // Codex.
  kind(String.raw`\.codex/auth\.json`, "json"),
  kind(String.raw`\.codex/config\.toml`, "toml"),
  // opencode, crush, llm (datasette), pi, Gemini and Qwen command lines.
  kind(String.raw`opencode/auth\.json`, "json"),
  kind(String.raw`\.?opencode\.jsonc?`, "json"),
  kind(String.raw`\.?crush\.json`, "json"),
  kind(String.raw`io\.datasette\.llm/keys\.json`, "json"),
  kind(String.raw`\.pi/agent/(?:auth|models|settings)\.json`, "json"),
  kind(String.raw`\.(?:gemini|qwen)/settings\.json`, "json"),
  // Editors.
  kind(String.raw`(?:\.vscode|Code/User|VSCodium/User|Cursor/User|Windsurf/User|\.?zed)/settings\.json`, "json"),
];

/** Null: no place for keys. */
export function formatOf(path: string): Format | null {
  return kinds.find(({ pattern }) => pattern.test(path))?.format ?? null;
}
