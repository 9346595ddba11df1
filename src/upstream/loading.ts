// How a local server says that its model is still being loaded.

/**
 * llama.cpp tools/server/README.md, "GET /health": 503 `{"error":{"code":503,"message":"Loading model","type":
 * "unavailable_error"}}`, which its other doors say as well. Type and message must fit: the same type is also what a server
 * says that is only busy.
 */
export function saysLoading(status: number, body: string): boolean {
  if (status !== 503) return false;
  try {
    return isLoadingAnswer(JSON.parse(body));
  } catch {
    // A page of some proxy in between.
    return false;
  }
}

export function isLoadingAnswer(answer: unknown): boolean {
  if (typeof answer !== "object" || answer === null || !("error" in answer)) return false;
  const { error } = answer;
  if (typeof error !== "object" || error === null || !("type" in error) || !("message" in error)) return false;
  return (
    error.type === "unavailable_error" && typeof error.message === "string" && /^loading model/i.test(error.message)
  );
}
