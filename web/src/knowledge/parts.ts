/** Passages of a document as they are read: one after the other, and nothing twice. */

import type { PassageShown } from "../api/schema.ts";

/** A passage as it is shown among its neighbours. */
export interface Part {
  number: number;
  text: string;
  page: number | null;
  heading: string;
  isMeant: boolean;
}

/** Passages overlap: the one that is meant is shown whole, and the others without what is shown already. */
export function toParts(passages: readonly PassageShown[], meant: number): Part[] {
  const found = passages.find((passage) => passage.number === meant);
  let end = 0;
  return passages.flatMap((passage) => {
    const isMeant = passage.number === meant;
    const from = isMeant ? passage.start : Math.max(passage.start, end);
    const to =
      found !== undefined && passage.number < meant ? Math.min(passage.end, found.start) : passage.end;
    end = Math.max(end, to);
    if (from >= to) return [];
    const text = [...passage.text].slice(from - passage.start, to - passage.start).join("");
    const { number, page, heading } = passage;
    return [{ number, text, page, heading, isMeant }];
  });
}
