import type { NeutralEvent } from "../wire/neutral.ts";

/** What the client has of an answer, so that somebody else can go on with it. */
export class Shown {
  /** Every character of text; the client put it together from any number of blocks. */
  text = "";
  /** Complete tool calls: the client runs them. */
  calls = 0;
  /** The model declines: nobody else is asked to finish that. */
  refused = false;
  /** The last text stands in a block that was not closed. */
  open = false;

  see(events: readonly NeutralEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case "text":
          this.text += event.text;
          this.open = true;
          break;
        case "refusal":
          this.refused = true;
          break;
        case "tool_end":
          this.calls += 1;
          this.open = false;
          break;
        case "block_end":
        case "thinking":
        case "redacted_thinking":
        case "tool_start":
          this.open = false;
          break;
        case "start":
        case "thinking_signature":
        case "tool_delta":
        case "usage":
        case "stop":
        case "end":
        case "error":
        case "other":
          break;
        default:
          event satisfies never;
      }
    }
  }
}
