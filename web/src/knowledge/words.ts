/** The words of knowledge, which come with what needs them. */

import type { PassageShown } from "../api/schema.ts";
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
export function useKnowledgeWords(): Say {
  const more = useMoreWords();
  const say = words.useThem();
  return (word, values) => (word in en ? say(word as Own, values) : more(word as MoreWord, values));
}

/** Where in its document a passage stands, as far as that is known. */
export function placeOf(t: Say, { page, heading }: Pick<PassageShown, "page" | "heading">): string {
  return [page === null ? "" : t("page", { page }), heading].filter(Boolean).join(" · ");
}
