/** The words of the pages for admins, which nobody else has to fetch. */

import { wordsIn } from "../words/fetched.ts";
import type { Values } from "../words/index.ts";
import en from "./words/en.json" with { type: "json" };

export type AdminWord = keyof typeof en;
export type Say = (word: AdminWord, values?: Values) => string;

const words = wordsIn<AdminWord>(
  en,
  import.meta.glob<Readonly<Record<string, string>>>(["./words/*.json", "!./words/en.json"], {
    import: "default",
  }),
);

/** Waits for the language's words, within a `Suspense`. */
export function useAdminWords(): Say {
  return words.useThem();
}
