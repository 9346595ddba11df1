import type { Dialect, SseEvent } from "./neutral.ts";

/**
 * True where the clients of the dialect read this event as an error, so that it may go on as it is. Servers have habits of
 * their own (a line of bare JSON, an error without its type, one inside a choice), which clients skip: to them the
 * stream would end well.
 */
export function isOwnErrorEvent(dialect: Dialect, { event, data }: SseEvent): boolean {
  const value = parsed(data);
  switch (dialect) {
    case "messages":
      return event === "error" && "type" in value && value.type === "error";
    case "chat":
      return "error" in value && typeof value.error === "object" && value.error !== null;
    case "responses":
      return "type" in value && value.type === "response.failed";
    default:
      return dialect satisfies never;
  }
}

function parsed(data: string): object {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
