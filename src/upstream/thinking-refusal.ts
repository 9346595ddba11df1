// Earlier thinking that its maker does not accept any more: the account changed, the conversation was shortened, a client
// dropped a block. Claude Code takes the thinking out by itself and asks again; clients of other dialects don't know what
// the vendor is talking about, so it is done for them.

/** Of an error body; the wording comes early. */
const maxBytes = 64 * 1024;
const wording = /signature|thinking|bound to a different conversation/i;

/** Whether a 400 complains about thinking blocks. `response` takes the place of the given one, whose body is read. */
export async function readThinkingRefusal(response: Response): Promise<{ refused: boolean; response: Response }> {
  if (Number(response.headers.get("content-length") ?? "0") > maxBytes) return { refused: false, response };
  const text = await readAtMost(response.body);
  const { status, headers } = response;
  return { refused: wording.test(text), response: new Response(text, { status, headers }) };
}

async function readAtMost(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > maxBytes) break;
    }
  } catch {
    // What came is enough, or it is not about thinking.
    return text;
  }
  return text;
}
