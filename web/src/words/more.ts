/** The words of what is opened now and then, which come with it. */

import { wordsIn } from "./fetched.ts";
import { t, type Values, type Word } from "./index.ts";
import en from "./more/en.json" with { type: "json" };

type Further = keyof typeof en;
export type MoreWord = Word | Further;

const more = wordsIn<Further>(
  en,
  import.meta.glob<Readonly<Record<string, string>>>(["./more/*.json", "!./more/en.json"], {
    import: "default",
  }),
);

/** All words. Waits for the language's own, within a `Suspense`. */
export function useMoreWords(): (word: MoreWord, values?: Values) => string {
  const say = more.useThem();
  return (word, values) => (word in en ? say(word as Further, values) : t(word as Word, values));
}

/** As it is said in the language that is spoken by then, whatever it was when the page was drawn. */
export async function moreWord(word: Further, values?: Values): Promise<string> {
  return (await more.fetch())(word, values);
}
