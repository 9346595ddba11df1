import { pricesAsOf } from "../../catalogue/index.ts";
import { beside, type Finding } from "./finding.ts";
import type { Scene } from "./scene.ts";

const staleDays = 90;
const dayMs = 86_400_000;

/** Vendors change prices some times a year; a price that is too low lets an agent spend more than its cap says. */
export function checkPrices({ now }: Pick<Scene, "now">): Finding[] {
  const days = Math.max(0, Math.floor((now - Date.parse(pricesAsOf.date)) / dayMs));
  const found = `The price list is of ${pricesAsOf.date}, ${days === 1 ? "1 day" : `${days} days`} old.`;
  if (days <= staleDays) return [beside("prices.age", "ok", { found })];
  return [
    beside("prices.age", "note", {
      found,
      means: "Models that are newer cost their provider's ceiling, and changed prices are not known.",
      remedy:
        "update to a newer version, or set `price` of the models that you use; `sanctum models --prices` shows them",
    }),
  ];
}
