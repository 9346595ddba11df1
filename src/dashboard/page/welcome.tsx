// The first visit: nothing was asked yet, and this is how to begin.

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import type { Document } from "./document.ts";

export function Welcome(props: { readonly document: Document }): JSX.Element {
  const base = location.origin;
  const usable = Object.entries(props.document.providers).filter(([, { key }]) => key === "ok" || key === "none");
  const keyless = Object.entries(props.document.providers).filter(([, { key }]) => key === "missing");
  return (
    <section class="card welcome" aria-labelledby="welcome">
      <h2 id="welcome">Connect a client</h2>
      <p>
        The gateway runs and nothing has been asked yet. Point a client at it; the first request shows here by itself.
      </p>
      <div class="ways">
        <Way
          title="Claude Code, Anthropic SDKs"
          lines={[`export ANTHROPIC_BASE_URL=${base}`, "export ANTHROPIC_AUTH_TOKEN=anonymous"]}
        />
        <Way
          title="OpenAI SDKs, Codex, most others"
          lines={[`export OPENAI_BASE_URL=${base}/v1`, "export OPENAI_API_KEY=anonymous"]}
        />
        <Way
          title="A client as an agent with a budget of its own"
          lines={["sanctum agents add windu", "sanctum run windu -- claude"]}
        />
      </div>
      <p class="dim">
        {usable.length === 0
          ? "No provider can answer yet: "
          : `Answers can come from ${usable.map(([name]) => name).join(", ")}. `}
        {keyless.length > 0 && (
          <>
            {usable.length === 0 ? "store a key with " : "Store more keys with "}
            <code>sanctum keys set {keyless[0]![0]}</code>
            {usable.length === 0 ? ", or start a local model server such as Ollama." : "."}
          </>
        )}{" "}
        More clients: <code>sanctum connect</code>.
      </p>
    </section>
  );
}

function Way(props: { readonly title: string; readonly lines: readonly string[] }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const text = props.lines.join("\n");
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div class="way">
      <h3>{props.title}</h3>
      <pre tabIndex={0} aria-label={`Commands: ${props.title}`}>
        <code>{text}</code>
      </pre>
      {/* Browsers offer the clipboard to secure pages alone: a gateway in the house network has none. */}
      {globalThis.isSecureContext && (
        <button type="button" class="copy" onClick={() => void copy()} aria-label={`Copy: ${props.title}`}>
          {copied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  );
}
