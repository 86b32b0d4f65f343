/** A line with the words in it that were looked for: without case and accents, from their beginning, as the server looks. */

export interface Part {
  at: number;
  text: string;
  hit: boolean;
}

export function marked(line: string, sought: string): Part[] {
  const wanted = wordsOf(sought);
  const parts: Part[] = [];
  let from = 0;
  const add = (to: number, hit: boolean) => {
    if (to > from) parts.push({ at: from, text: line.slice(from, to), hit });
    from = to;
  };
  for (const { index, 0: word } of line.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const length = Math.max(0, ...wanted.map((one) => lengthOfStart(word, one)));
    if (length === 0) continue;
    add(index, false);
    add(index + length, true);
  }
  add(line.length, false);
  return parts;
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}\p{M}]+/gu)?.map(fold) ?? [];
}

/** How much of the word is the start that is wanted; 0 where it begins otherwise. */
function lengthOfStart(word: string, wanted: string): number {
  if (!fold(word).startsWith(wanted)) return 0;
  let length = 0;
  for (const letter of word) {
    length += letter.length;
    if (fold(word.slice(0, length)).length >= wanted.length) break;
  }
  return length;
}

function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/** A line is read, not drawn: what Markdown puts around words is in the way. */
export function withoutMarks(line: string): string {
  return line.replace(/\*\*|`+|(?<=^|\s)#{1,6}\s/g, "");
}
