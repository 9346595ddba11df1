/** What a provider says of a key that it was asked about. */
export type KeyVerdict =
  | {
      readonly result: "accepted";
      /** What does not quite fit, in our own words; null: nothing. */
      readonly reason: string | null;
    }
  | {
      /** `unchecked`: it could not be asked, or its answer says nothing about the key. */
      readonly result: "rejected" | "unchecked";
      /** Why, in our own words: nothing of the key, and nothing that the provider wrote. */
      readonly reason: string;
    };
