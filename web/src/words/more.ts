/** The words of what is opened now and then, which come with it. A language is a file here as it is beside `index.ts`. */

import { use } from "react";
import { fill, t, useLanguage, type Values, type Word } from "./index.ts";
import en from "./more/en.json" with { type: "json" };

export type MoreWord = Word | keyof typeof en;
type Words = Readonly<Record<string, string>>;

const files = import.meta.glob<Words>(["./more/*.json", "!./more/en.json"], { import: "default" });
const fetched = new Map<string, Promise<Words>>([["en", Promise.resolve<Words>(en)]]);

/** All words. Waits for the language's own, within a `Suspense`. */
export function useMoreWords(): (word: MoreWord, values?: Values) => string {
  const language = useLanguage();
  const words = use(wordsOf(language));
  return (word, values = {}) =>
    word in en ? fill(word, values, language, words, en) : t(word as Word, values);
}

function wordsOf(language: string): Promise<Words> {
  const known = fetched.get(language);
  if (known !== undefined) return known;
  // Without a network English is better than nothing.
  const found = files[`./more/${language}.json`]?.().catch(() => en) ?? Promise.resolve<Words>(en);
  fetched.set(language, found);
  return found;
}
