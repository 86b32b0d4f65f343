/** What a chart shows, and up to where its scale goes. */

export interface Figure {
  name: string;
  figure: number;
}

export interface Spelling {
  short: (figure: number) => string;
  whole: (figure: number) => string;
}

export interface ChartProps {
  /** What it shows, for who does not see it. */
  label: string;
  /** What the columns of its table are. */
  heads: readonly [string, string];
  figures: readonly Figure[];
  spell: Spelling;
}

/** The next round number: 1, 2 or 5 with noughts. */
export function roundUp(most: number): number {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 2, 5, 10].find((one) => one * power >= most) ?? 10;
  return step * power;
}

/** The greatest, and all others as one. */
export function greatest(figures: readonly Figure[], most: number, others: string): readonly Figure[] {
  const sorted = figures.filter(({ figure }) => figure > 0).sort((one, other) => other.figure - one.figure);
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most - 1).reduce((sum, { figure }) => sum + figure, 0);
  return [...sorted.slice(0, most - 1), { name: others, figure: rest }];
}
