/** The numbers that a text cites, or seems to. What draws it says which of them are none (`markdown/citing.ts`). */
export function citedIn(text: string): ReadonlySet<number> {
  return new Set([...text.matchAll(/\[(\d{1,3})\]/g)].map(([, digits]) => Number(digits)));
}
