/** `[1]` in a reply, where it was given a source of that number. */

import type { Element, ElementContent, Root, RootContent } from "hast";
import { createContext } from "react";

export interface Citing {
  /** What each source is called; "" where it is not to be seen any more. */
  sources: ReadonlyMap<number, string>;
  open: (number: number) => void;
}

/** null: there is nothing to cite. */
export const Cited = createContext<Citing | null>(null);

const NUMBER = /\[(\d{1,3})\]/g;
/** What is written there is no text of the reply's own. */
const LITERAL = new Set(["code", "pre", "a"]);

/** With a `cite` in place of each number that is one of these. */
export function withCites<T extends Root | Element>(tree: T, numbers: ReadonlyMap<number, unknown>): T {
  const children = (tree.children as readonly RootContent[]).flatMap((child): RootContent[] => {
    if (child.type === "text") return cut(child.value, numbers);
    return child.type === "element" && !LITERAL.has(child.tagName) ? [withCites(child, numbers)] : [child];
  });
  return { ...tree, children } as T;
}

function cut(text: string, numbers: ReadonlyMap<number, unknown>): ElementContent[] {
  const parts: ElementContent[] = [];
  let done = 0;
  for (const { index, 0: whole, 1: digits } of text.matchAll(NUMBER)) {
    const number = Number(digits);
    if (!numbers.has(number)) continue;
    if (index > done) parts.push({ type: "text", value: text.slice(done, index) });
    parts.push({ type: "element", tagName: "cite", properties: { dataNumber: number }, children: [] });
    done = index + whole.length;
  }
  return done < text.length || parts.length === 0
    ? [...parts, { type: "text", value: text.slice(done) }]
    : parts;
}
