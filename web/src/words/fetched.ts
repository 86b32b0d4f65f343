/** Words that only some pages need, and that come with these. A language is a file, as it is beside `index.ts`. */

import { use } from "react";
import { fill, spoken, useSpoken, type Values } from "./index.ts";

type Words = Readonly<Record<string, string>>;
type Say<W> = (word: W, values?: Values) => string;

interface Fetched<W> {
  /** Waits for the language's words, within a `Suspense`. */
  useThem: () => Say<W>;
  /** Those of the language that is spoken now. */
  fetch: () => Promise<Say<W>>;
}

/** What could not be fetched is asked for again after so long, whenever it is next drawn: not with each drawing. */
const AGAIN = 5_000;

/** `files`: by path, which ends in the language's name and `.json`. */
export function wordsIn<W extends string>(
  english: Readonly<Record<W, string>>,
  files: Readonly<Record<string, () => Promise<Words>>>,
): Fetched<W> {
  const loads = new Map(Object.entries(files).map(([path, load]) => [/(\w+)\.json$/.exec(path)?.[1], load]));
  const fetched = new Map<string, Promise<Words>>([["en", toHere(Promise.resolve<Words>(english), english)]]);

  function wordsOf(language: string): Promise<Words> {
    const known = fetched.get(language);
    if (known !== undefined) return known;
    const found = (loads.get(language)?.() ?? Promise.resolve<Words>(english)).catch(() => {
      // Without a network English is better than nothing, until it is tried again.
      setTimeout(() => fetched.delete(language), AGAIN);
      return english;
    });
    fetched.set(language, found);
    void found.then((words) => toHere(found, words));
    return found;
  }
  function sayIn(language: string, words: Words): Say<W> {
    return (word, values = {}) => fill(word, values, language, words, english);
  }
  return {
    useThem: () => {
      const language = useSpoken();
      return sayIn(language, use(wordsOf(language)));
    },
    fetch: async () => {
      const language = spoken();
      return sayIn(language, await wordsOf(language));
    },
  };
}

/**
 * `use` reads what a promise carries without waiting: not even for the moment that a promise takes, in which a page would be
 * hidden. It is asked each time, for whoever draws anew what has waited counts its hooks.
 */
function toHere(promise: Promise<Words>, value: Words): Promise<Words> {
  return Object.assign(promise, { status: "fulfilled", value });
}
