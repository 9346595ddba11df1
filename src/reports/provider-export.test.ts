import { describe, expect, test } from "bun:test";
import { parseCsv } from "./csv.ts";
import { ExportError, parseExport } from "./provider-export.ts";

const row = { day: "2026-11-20", model: null, micros: null, input: null, output: null, id: null };
const json = (value: object): string => JSON.stringify(value);

describe("a provider's export is known by its columns:", () => {
  test("OpenAI costs as CSV, where a day without use has empty fields", () => {
    const { format, provider, rows } = parseExport(
      "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n" +
        '1795132800,1795219200,2026-11-20T00:00:00+00:00,,0.8958740000,usd,"gpt-5.1-2025-11-13, input",proj_1\n' +
        "1795219200,1795305600,2026-11-21T00:00:00+00:00,,,,,\n",
    );
    expect([format, provider]).toEqual(["OpenAI costs (CSV)", "openai"]);
    expect(rows).toEqual([{ ...row, model: "gpt-5.1-2025-11-13", micros: 895_874 }]);
  });

  test("OpenAI costs from the API, one page a line, where the last one says whether there are more", () => {
    const page = (value: number, more: boolean): string =>
      json({
        object: "page",
        has_more: more,
        data: [
          {
            object: "bucket",
            start_time: 1_795_132_800,
            results: [{ object: "organization.costs.result", amount: { value, currency: "usd" }, line_item: null }],
          },
        ],
      });
    const { rows, more } = parseExport(`${page(0.06, true)}\n${page(1, false)}\n`);
    expect(rows.map(({ micros }) => micros)).toEqual([60_000, 1_000_000]);
    expect(more).toBe(false);
    expect(parseExport(page(0.06, true)).more).toBe(true);
  });

  test("OpenAI usage, of tokens alone", () => {
    const { format, rows } = parseExport(
      "start_time\tnum_model_requests\tmodel\tinput_tokens\toutput_tokens\tinput_cached_tokens\n" +
        "1795132800\t3\tgpt-5.1\t1200\t340\t100\n",
    );
    expect(format).toBe("OpenAI completions usage");
    expect(rows).toEqual([{ ...row, model: "gpt-5.1", input: 1_200, output: 340 }]);
  });

  test("Anthropic's costs from the Console, rounded to cents", () => {
    const { format, rows, unitMicros } = parseExport(
      "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type\n" +
        "2026-11-20,Claude Haiku 4.5,Default,sanctum,message,≤ 200k,output,0.13,token\n",
    );
    expect(format).toBe("Anthropic cost (Console CSV)");
    expect(rows).toEqual([{ ...row, model: "Claude Haiku 4.5", micros: 130_000 }]);
    expect(unitMicros).toBe(10_000);
  });

  test("Anthropic's usage from the Console", () => {
    const { rows } = parseExport(
      "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m," +
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n" +
        "2026-11-20,claude-haiku-4-5-20251001,1000,200,30,4,340\n",
    );
    expect(rows).toEqual([{ ...row, model: "claude-haiku-4-5-20251001", input: 1_234, output: 340 }]);
  });

  test("Anthropic's cost report, whose amounts are cents", () => {
    const { rows, unitMicros } = parseExport(
      json({
        data: [
          {
            starting_at: "2026-11-20T00:00:00Z",
            ending_at: "2026-11-21T00:00:00Z",
            results: [{ amount: "123.45", currency: "USD", model: "claude-opus-5", token_type: "output_tokens" }],
          },
        ],
        has_more: false,
        next_page: null,
      }),
    );
    expect(rows).toEqual([{ ...row, model: "claude-opus-5", micros: 1_234_500 }]);
    expect(unitMicros).toBe(100);
  });

  test("Anthropic's usage report", () => {
    const result = {
      uncached_input_tokens: 1_000,
      cache_read_input_tokens: 4,
      cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 30 },
      output_tokens: 340,
      model: "claude-opus-5",
    };
    const { rows } = parseExport(json({ data: [{ starting_at: "2026-11-20T00:00:00Z", results: [result] }] }));
    expect(rows).toEqual([{ ...row, model: "claude-opus-5", input: 1_234, output: 340 }]);
  });

  test("OpenRouter's activity, request by request, and by day from its API", () => {
    const csv = parseExport(
      "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug,provider_name\n" +
        "gen-1,2026-11-20T23:30:00-01:00,0.0123,10,20,openai/gpt-4o-mini,OpenAI\n",
    );
    expect(csv.rows).toEqual([
      { day: "2026-11-21", model: "openai/gpt-4o-mini", micros: 12_300, input: 10, output: 20, id: "gen-1" },
    ]);
    const item = {
      date: "2026-11-20",
      model: "openai/gpt-4.1",
      model_permaslug: "openai/gpt-4.1-2025-04-14",
      usage: 0.015,
      requests: 5,
      prompt_tokens: 50,
      completion_tokens: 125,
    };
    const api = parseExport(json({ data: [item] }));
    expect(api.rows).toEqual([{ ...row, model: "openai/gpt-4.1-2025-04-14", micros: 15_000, input: 50, output: 125 }]);
  });

  test("a table of one's own", () => {
    const { provider, rows } = parseExport("date;model;usd;input_tokens;output_tokens\r\n2026-11-20;m;1.5;10;20\r\n");
    expect(provider).toBeNull();
    expect(rows).toEqual([{ ...row, model: "m", micros: 1_500_000, input: 10, output: 20 }]);
  });

  test("a figure in scientific notation does not make the rounding a dollar wide", () => {
    expect(parseExport("date,usd\n2026-11-20,1e-5\n").unitMicros).toBeLessThan(1);
    expect(parseExport("date,usd\n2026-11-20,0\n").unitMicros).toBe(10_000);
  });
});

describe("an export that cannot be used is told:", () => {
  test.each([
    ["columns that nobody knows", "a,b\n1,2\n", "its columns are a, b"],
    ["an empty file", "", "Understood are:"],
    [
      "another currency",
      "start_time,amount_value,amount_currency\n1795132800,1,eur\n",
      'row 1: the amount is in "eur"',
    ],
    ["an amount that is none", "date,usd\n2026-11-20,many\n", '"many" is no amount'],
    ["a date that is none", "date,usd\n20/11/2026,1\n", '"20/11/2026" is no date'],
    ["JSON without its list", '{"error":"no"}', 'no list "data"'],
    ["JSON that is none", "{", "neither CSV nor JSON"],
  ])("%s", (_, content, message) => {
    expect(() => parseExport(content)).toThrow(ExportError);
    expect(() => parseExport(content)).toThrow(message);
  });

  test("a filter on a column that is not there", () => {
    expect(() => parseExport("date,usd\n2026-11-20,1\n", [{ column: "key", value: "x" }])).toThrow("date, usd");
  });
});

test("only the rows that are asked for are read", () => {
  const content = "date,usd,api_key\n2026-11-20,1,sanctum\n2026-11-20,2,other\n";
  expect(parseExport(content, [{ column: "api_key", value: "sanctum" }]).rows).toHaveLength(1);
});

test("CSV has quotes, doubled quotes, line breaks in fields, a byte order mark, and either line end", () => {
  const { columns, rows } = parseCsv('\ufeff a ,b\r\n"x, ""y""\nz",2\n\n"open,3');
  expect(columns).toEqual(["a", "b"]);
  expect(rows).toEqual([
    { a: 'x, "y"\nz', b: "2" },
    { a: "open,3", b: "" },
  ]);
});
