/** A passage as it is set: words as words, and what stands in columns in letters of one width. */

export interface Stretch {
  text: string;
  isSet: boolean;
}

const FENCE = /^ {0,3}(```|~~~)/;

/** All of the text, line by line, in stretches of one kind. A fence that is not closed in this passage goes to its end. */
export function toStretches(text: string): Stretch[] {
  const lines = text.split("\n");
  const set = inFences(lines);
  const stretches: { lines: string[]; isSet: boolean }[] = [];
  for (const [index, line] of lines.entries()) {
    const isSet = set.has(index) || isOfTable(lines, index);
    const last = stretches.at(-1);
    if (last?.isSet === isSet) last.lines.push(line);
    else stretches.push({ lines: [line], isSet });
  }
  return stretches.map(({ lines, isSet }) => ({ text: lines.join("\n"), isSet }));
}

function inFences(lines: readonly string[]): ReadonlySet<number> {
  const found = new Set<number>();
  let open: string | undefined;
  for (const [index, line] of lines.entries()) {
    const fence = FENCE.exec(line)?.[1];
    if (open !== undefined || fence !== undefined) found.add(index);
    if (open === undefined) open = fence;
    else if (fence === open) open = undefined;
  }
  return found;
}

/** One line with a bar in it may be a sentence. */
function isOfTable(lines: readonly string[], index: number): boolean {
  const isRow = (line: string | undefined) => line?.includes(" | ") === true;
  return isRow(lines[index]) && (isRow(lines[index - 1]) || isRow(lines[index + 1]));
}
