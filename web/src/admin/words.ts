/** The words of the pages for admins, which nobody else has to fetch. A language is a file here as it is beside `../words`. */

import { use } from "react";
import { fill, useLanguage, type Values } from "../words/index.ts";
import en from "./words/en.json" with { type: "json" };

export type AdminWord = keyof typeof en;
export type Say = (word: AdminWord, values?: Values) => string;
type Words = Readonly<Record<string, string>>;

const files = import.meta.glob<Words>(["./words/*.json", "!./words/en.json"], { import: "default" });
const fetched = new Map<string, Promise<Words>>([["en", Promise.resolve<Words>(en)]]);

/** Waits for the language's words, within a `Suspense`. */
export function useAdminWords(): Say {
  const language = useLanguage();
  const words = use(wordsOf(language));
  return (word, values = {}) => fill(word, values, language, words, en);
}

function wordsOf(language: string): Promise<Words> {
  const known = fetched.get(language);
  if (known !== undefined) return known;
  // Without a network English is better than nothing.
  const found = files[`./words/${language}.json`]?.().catch(() => en) ?? Promise.resolve<Words>(en);
  fetched.set(language, found);
  return found;
}
