/**
 * The app's words in each language. A language is a file here: dropping in `fr.json` offers French. English comes with the
 * app; the others are fetched when they are chosen.
 */

import { keep, kept } from "../parts/kept.ts";
import { useWatched, Watched } from "../parts/watched.ts";
import en from "./en.json" with { type: "json" };

export type Word = keyof typeof en;
type Words = Partial<Record<Word, string>>;
export type Values = Readonly<Record<string, string | number>>;

const files = import.meta.glob<Words>(["./*.json", "!./en.json"], { import: "default" });

export const LANGUAGES: readonly string[] = [
  "en",
  ...Object.keys(files).map((path) => path.slice("./".length, -".json".length)),
].sort();

const current = new Watched<{ language: string; words: Words }>({ language: "en", words: en });

export async function startLanguage(): Promise<void> {
  await speak(kept<string | null>("language", null) ?? preferred());
}

/** null: what the browser prefers. */
export async function chooseLanguage(language: string | null): Promise<void> {
  keep("language", language);
  await speak(language ?? preferred());
}

export function chosenLanguage(): string | null {
  return kept<string | null>("language", null);
}

/** By what dates and numbers are written: the browser's own kind of the language, such as that of a country. */
export function language(): string {
  const { language } = current.value;
  return navigator.languages.find((tag) => bare(tag) === language) ?? language;
}

/** The word, with its values put in. `{n}` also chooses between `word` and `word.one`. */
export function t(word: Word, values: Values = {}): string {
  const { language, words } = current.value;
  return fill(word, values, language, words, en);
}

/** Of these words, or, where they lack it, of the English ones. */
export function fill(
  word: string,
  values: Values,
  language: string,
  words: Readonly<Record<string, string>>,
  english: Readonly<Record<string, string>>,
): string {
  const isOne = typeof values.n === "number" && new Intl.PluralRules(language).select(values.n) === "one";
  const find = (key: string) => words[key] ?? english[key];
  const text = (isOne ? find(`${word}.one`) : undefined) ?? find(word) ?? word;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** For components: they are drawn again in the other one. */
export function useLanguage(): string {
  useWatched(current);
  return language();
}

/** The language that has a file here. */
export function useSpoken(): string {
  return useWatched(current).language;
}

export function spoken(): string {
  return current.value.language;
}

/** For components: they are drawn again in the other language. */
export function useWords(): typeof t {
  useWatched(current);
  return t;
}

export function nameOf(language: string): string {
  const name = new Intl.DisplayNames([language], { type: "language" }).of(language) ?? language;
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
}

async function speak(wanted: string): Promise<void> {
  const load = files[`./${wanted}.json`];
  // Without a network English is better than nothing.
  const found = load === undefined ? undefined : await load().catch(() => undefined);
  const [language, words] = found === undefined ? ["en", en] : [wanted, found];
  document.documentElement.lang = language;
  current.set({ language, words });
}

function preferred(): string {
  const offered = navigator.languages.map(bare);
  return offered.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

function bare(tag: string): string {
  return tag.split("-")[0] ?? "";
}
