/** Addresses in what people write. Nothing else in it is more than its words. */

const ADDRESS = /\bhttps?:\/\/[^\s<>"`]+/gi;
/** What ends a sentence is no part of the address in it. */
const AFTER = /[.,;:!?'’”»*_]+$/;

export interface Piece {
  at: number;
  text: string;
  isLink: boolean;
}

export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  const add = (until: number, isLink: boolean) => {
    if (until > end) pieces.push({ at: end, text: text.slice(end, until), isLink });
    end = until;
  };
  for (const { index, 0: found } of text.matchAll(ADDRESS)) {
    const address = withoutEnd(found);
    if (!URL.canParse(address)) continue;
    add(index, false);
    add(index + address.length, true);
  }
  add(text.length, false);
  return pieces;
}

function withoutEnd(found: string): string {
  const address = found.replace(AFTER, "");
  // One that closes a bracket around the address.
  const isAround = address.endsWith(")") && !address.includes("(");
  return isAround ? withoutEnd(address.slice(0, -1)) : address;
}
