// GET /v1/models and /v1/models/{id}: what this agent can ask for. One shape holds the fields of both vendors, since
// clients of either ask the same path; only the paging differs.

export interface ListedModel {
  readonly id: string;
  readonly provider: string;
  readonly context: number | undefined;
}

/** The list does not change by itself, so a fixed date is as true as any and keeps answers cacheable. */
const createdAt = 1_767_225_600;
const createdAtText = new Date(createdAt * 1_000).toISOString();
const maxPage = 1_000;

/** In Anthropic's pages (docs "List Models") with `anthropic-version`, else whole, as OpenAI's (docs "List models"). */
export function modelsAnswer(models: readonly ListedModel[], headers: Headers, query: URLSearchParams): object {
  if (!headers.has("anthropic-version")) return listOf(models, false);
  const limit = Math.min(Math.max(1, Number(query.get("limit") ?? "20") || 20), maxPage);
  const indexOf = (name: string): number => models.findIndex((model) => model.id === query.get(name));
  const before = indexOf("before_id");
  const from = before < 0 ? indexOf("after_id") + 1 : Math.max(0, before - limit);
  const to = before < 0 ? from + limit : before;
  // More in the direction in which the client turns the pages.
  return listOf(models.slice(from, to), before < 0 ? to < models.length : from > 0);
}

function listOf(page: readonly ListedModel[], hasMore: boolean): object {
  return {
    object: "list",
    data: page.map(modelAnswer),
    has_more: hasMore,
    first_id: page[0]?.id ?? null,
    last_id: page[page.length - 1]?.id ?? null,
  };
}

export function modelAnswer({ id, provider }: ListedModel): object {
  return {
    id,
    object: "model",
    created: createdAt,
    owned_by: provider,
    type: "model",
    display_name: id,
    created_at: createdAtText,
  };
}
