import { cellsOf, settings } from "../../test/faults/cells.ts";
import { columns, expectation, matrixOf } from "../../test/faults/matrix.ts";
import { code, page, table } from "./page.ts";

/** The wall of faults as its tests expect it; `npm test -- faults` holds every cell against real gateways. */
export function faultsPage(): string {
  const cells = settings.flatMap((setting) => cellsOf(setting));
  const sections = matrixOf(cells.map((cell) => ({ cell, told: expectation(cell) })));
  const blocks = sections.flatMap(({ kind, rows }) => [`## ${kind}`, table(columns, rows)]);
  return page("Faults", introduction, legend, `${cells.length} cells in all.`, ...blocks);
}

const introduction = `
What a client gets, whatever a provider does. Each cell of these tables was tried by ${code("npm test -- faults")} with a scripted
provider that has the fault, once in the dialect of the client and once in another, and with each of them: the attempts in the
audit trail, the money against what the provider billed, no hold left over, and the books of trail and ledger equal at the end.
`;

const legend = table(
  ["Word", "What the client gets"],
  [
    ["answer", "the provider's answer, the same text as without the fault"],
    ["local", "the answer of the local model that stands behind the provider; nothing of the fault shows"],
    ["carried on", "the text that the provider began, carried on by the local model inside the same answer"],
    ["error event", "what was shown so far, and the dialect's error event; never a clean end"],
    [
      "as refused",
      "the provider's refusal of the request itself: byte for byte in the same dialect, else in the client's envelope",
    ],
    ["429, 402, 503", "one error in the client's envelope, with that status"],
    ["×2", "the provider was asked twice before"],
    ["–", "the fault can't happen there"],
    ["a; b", "a with a local model behind the provider, b with nobody"],
    ["the first time only", "nobody behind, and the second try finds the provider well"],
    ["the line open", "the client of the stream has got signs of life before the fault shows"],
  ],
);
