export { AnswerStore } from "./answer-store.ts";
export { replay } from "./replay.ts";
