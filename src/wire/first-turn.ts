/**
 * What the user says where a conversation begins with the assistant, as chat windows with a greeting send it, and those that
 * cut old turns off: Anthropic and most chat templates take none whose first turn is not the user's.
 */
export const USER_BEGINS = "(The conversation begins here.)";
