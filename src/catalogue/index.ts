// What models cost and can do: look-ups only, no network.
export {
  abilitiesOf,
  bareName,
  ceilingOf,
  listModels,
  listedName,
  listedVendors,
  namingFits,
  priceOf,
  priceSourceOf,
} from "./models.ts";
export type { Abilities } from "./models.ts";
export { pricesAsOf } from "./table.ts";
