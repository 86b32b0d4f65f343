/** Two texts side by side, line by line. */

export interface Compared {
  kind: "same" | "new" | "old";
  line: string;
}

/** Of more pairs of lines than these nobody would read what differs. */
const MOST = 1_000_000;

/** All lines of both, in order: those that only `before` has are old, those that only `after` has are new. */
export function compare(before: string, after: string): Compared[] {
  const [left, right] = [before.split("\n"), after.split("\n")];
  if (left.length * right.length > MOST) {
    return [
      ...left.map((line) => ({ kind: "old", line }) as const),
      ...right.map((line) => ({ kind: "new", line }) as const),
    ];
  }
  const shared = sharedAfter(left, right);
  const at = (row: number, column: number) => shared[row]?.[column] ?? 0;
  const found: Compared[] = [];
  let [row, column] = [0, 0];
  while (row < left.length || column < right.length) {
    const [old, fresh] = [left[row], right[column]];
    if (old !== undefined && old === fresh) {
      found.push({ kind: "same", line: old });
      row += 1;
      column += 1;
    } else if (fresh === undefined || (old !== undefined && at(row + 1, column) >= at(row, column + 1))) {
      found.push({ kind: "old", line: old ?? "" });
      row += 1;
    } else {
      found.push({ kind: "new", line: fresh });
      column += 1;
    }
  }
  return found;
}

/** How many lines the ends of both have in common, from each place on. */
function sharedAfter(left: readonly string[], right: readonly string[]): readonly Uint16Array[] {
  const rows = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let row = left.length - 1; row >= 0; row -= 1) {
    const [here, below] = [rows[row], rows[row + 1]];
    if (here === undefined || below === undefined) continue;
    for (let column = right.length - 1; column >= 0; column -= 1) {
      here[column] =
        left[row] === right[column]
          ? (below[column + 1] ?? 0) + 1
          : Math.max(below[column] ?? 0, here[column + 1] ?? 0);
    }
  }
  return rows;
}
