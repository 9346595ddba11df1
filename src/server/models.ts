// GET /v1/models and /v1/models/{id}: what this agent can ask for, in the shape of the asking client.

export interface ListedModel {
  readonly id: string;
  readonly provider: string;
  readonly context: number | undefined;
}

/** The list does not change by itself, so a fixed date is as true as any and keeps answers cacheable. */
const createdAt = 1_767_225_600;
const maxPage = 1_000;

/** Anthropic's shape (docs "List Models") with `anthropic-version`, else OpenAI's (docs "List models"). */
export function modelsAnswer(models: readonly ListedModel[], headers: Headers, query: URLSearchParams): object {
  if (!headers.has("anthropic-version")) return { object: "list", data: models.map(openaiModel) };
  const limit = Math.min(Math.max(1, Number(query.get("limit") ?? "20") || 20), maxPage);
  const indexOf = (name: string): number => models.findIndex((model) => model.id === query.get(name));
  const before = indexOf("before_id");
  const from = before < 0 ? indexOf("after_id") + 1 : Math.max(0, before - limit);
  const to = before < 0 ? from + limit : before;
  const page = models.slice(from, to);
  return {
    data: page.map(anthropicModel),
    // More in the direction in which the client turns the pages.
    has_more: before < 0 ? to < models.length : from > 0,
    first_id: page[0]?.id ?? null,
    last_id: page[page.length - 1]?.id ?? null,
  };
}

export function modelAnswer(model: ListedModel, headers: Headers): object {
  return headers.has("anthropic-version") ? anthropicModel(model) : openaiModel(model);
}

function openaiModel(model: ListedModel): object {
  return { id: model.id, object: "model", created: createdAt, owned_by: model.provider };
}

function anthropicModel(model: ListedModel): object {
  return {
    type: "model",
    id: model.id,
    display_name: model.id,
    created_at: new Date(createdAt * 1_000).toISOString(),
  };
}
