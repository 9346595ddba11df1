import type { NeutralMessage, NeutralPart, NeutralRequest } from "./neutral.ts";

/**
 * The request without any thinking in its history; undefined where there is none. All of it goes: a block is bound to
 * those before it, so one that stays alone is refused again (Anthropic docs "Preserved thinking").
 */
export function withoutThinking(request: NeutralRequest): NeutralRequest | undefined {
  if (!request.messages.some(({ parts }) => parts.some(isThinking))) return undefined;
  const messages: NeutralMessage[] = [];
  for (const message of request.messages) {
    const parts = message.parts.filter((part) => !isThinking(part));
    if (parts.length > 0 || message.role === "tool") messages.push({ ...message, parts });
  }
  return { ...request, messages };
}

function isThinking({ type }: NeutralPart): boolean {
  return type === "thinking" || type === "redacted_thinking";
}
