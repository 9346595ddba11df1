// Every status from 300 up, with a body in the vendor's form, without any, and with a web page.

import type { Json } from "../../../src/wire/neutral.ts";
import { errorBody } from "../../fakes/small-answers.ts";
import { UPSTREAM_WORDS } from "../words.ts";
import type { Fault } from "../fault.ts";
import { fateOfStatus } from "../oracle.ts";
import type { Wire } from "../wire.ts";

const page = `<!doctype html><title>Sorry</title><h1>${UPSTREAM_WORDS}</h1>`;
const redirects = [300, 301, 302, 303, 304, 307, 308];
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** The vendor's own envelope, with spaces that no parser and printer would keep. */
export function vendorBody(wire: Pick<Wire, "dialect">): string {
  const body: Json = errorBody(wire.dialect, "some_error", `${UPSTREAM_WORDS}: \\/ is not allowed`);
  return ` ${JSON.stringify(body, null, 3)}\n`;
}

export function statuses(wire: Wire): Fault[] {
  const said = range(400, 599).flatMap((status) => {
    const fate = fateOfStatus(status);
    const one = (body: NonNullable<Fault["body"]>, headers: Record<string, string>, text: string): Fault => ({
      row: rowOf(status, body, fate.shown === "refusal"),
      fate,
      body,
      step: () => ({ refuse: { status, headers, body: text } }),
    });
    return [
      one("vendor", {}, vendorBody(wire)),
      one("none", {}, ""),
      one("page", { "content-type": "text/html" }, page),
    ];
  });
  const elsewhere = redirects.map((status): Fault => ({
    row: "redirect (3xx)",
    fate: { ...fateOfStatus(status), bill: "nothing" },
    step: () => ({ refuse: { status, headers: { location: "/elsewhere" }, body: "" } }),
  }));
  return [...said, ...elsewhere];
}

const bodies = { vendor: "the vendor's error", none: "no body", page: "a web page" } as const;

function rowOf(status: number, body: NonNullable<Fault["body"]>, isOwn: boolean): string {
  if (isOwn) return `status ${status}, ${bodies[body]}`;
  if ([402, 429].includes(status)) return `status ${status}`;
  if ([408, 409, 425].includes(status)) return "status 408, 409, 425";
  if (status < 500) return "status 401, 403 and every other 4xx";
  const again = status <= 504 ? status !== 501 : status >= 520 && status <= 529;
  return again ? "status 500, 502–504, 520–529" : "status 501, 505–519, 530–599";
}
