// What the user is made to say where a server takes no conversation without it.

/**
 * Before a conversation that begins with the assistant, as chat windows with a greeting send it, and those that cut old
 * turns off: Anthropic and most chat templates take none whose first turn is not the user's.
 */
export const USER_BEGINS = "(The conversation begins here.)";

/** Behind an answer that the assistant has begun, for models that carry none on: newer Claude models refuse it with 400. */
export const CONTINUE = "Continue exactly where you stopped.";
