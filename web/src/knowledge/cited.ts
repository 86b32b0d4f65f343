import { citationsIn } from "../markdown/citing.ts";

/** What is written there is no text of the reply's own: code, and links. */
const LITERAL = /(`+|~{3,})(?!`)[\s\S]*?(?<!`)\1(?!`)|\[[^\]]*\]\([^)]*\)/g;

/** The numbers that a text cites, or seems to. What draws it says which of them are none (`markdown/citing.ts`). */
export function citedIn(text: string): ReadonlySet<number> {
  return new Set(citationsIn(text.replace(LITERAL, " ")).flatMap(({ named }) => named));
}
