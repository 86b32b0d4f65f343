/** The words of conversations among people, and of what reaches them when they are away. */

import { wordsIn } from "../words/fetched.ts";
import type { Values } from "../words/index.ts";
import { type MoreWord, useMoreWords } from "../words/more.ts";
import en from "./words/en.json" with { type: "json" };

type Own = keyof typeof en;
export type Say = (word: Own | MoreWord, values?: Values) => string;

const words = wordsIn<Own>(
  en,
  import.meta.glob<Readonly<Record<string, string>>>(["./words/*.json", "!./words/en.json"], {
    import: "default",
  }),
);

/** All words. Waits for the language's own, within a `Suspense`. */
export function useWordsOfPeople(): Say {
  const more = useMoreWords();
  const say = words.useThem();
  return (word, values) => (word in en ? say(word as Own, values) : more(word as MoreWord, values));
}
