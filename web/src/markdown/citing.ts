/** `[1]` in a reply, where it was given a source of that number; or `[1, 3]`, `[1-3]`, `【1】`, as models write it, too. */

import type { Element, ElementContent, Root, RootContent } from "hast";

const NUMBERS = /[[【](\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)(?:†[^】]*)?[\]】]/g;
const MOST_IN_A_RANGE = 20;
/** What is written there is no text of the reply's own. */
const LITERAL = new Set(["code", "pre", "a"]);

interface Found {
  index: number;
  length: number;
  /** At least one. */
  named: readonly number[];
}

/** What may be citations in a text, from first to last. */
export function citationsIn(text: string): Found[] {
  return [...text.matchAll(NUMBERS)].map(({ index, 0: whole, 1: list = "" }) => {
    const named = list.split(/[,;]/).flatMap(inRange);
    return { index, length: whole.length, named };
  });
}

/** Of `2-4`: 2, 3 and 4. */
function inRange(range: string): number[] {
  const [from = 0, to = from] = range.split(/[–-]/).map(Number);
  const length = to - from + 1;
  if (length < 1 || length > MOST_IN_A_RANGE) return [from, to];
  return Array.from({ length }, (_, step) => from + step);
}

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
  for (const { index, length, named } of citationsIn(text)) {
    if (!named.every((number) => numbers.has(number))) continue;
    if (index > done) parts.push({ type: "text", value: text.slice(done, index) });
    for (const number of named)
      parts.push({ type: "element", tagName: "cite", properties: { dataNumber: number }, children: [] });
    done = index + length;
  }
  return done < text.length || parts.length === 0
    ? [...parts, { type: "text", value: text.slice(done) }]
    : parts;
}
