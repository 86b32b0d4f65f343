/** How tall the bars of a chart are. */

const STEPS = [1, 2, 2.5, 5, 10];

/** The least round number that is no less than all of them: where the axis ends. 1 where there is nothing to show. */
export function topOf(values: readonly number[]): number {
  const most = Math.max(0, ...values);
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = STEPS.find((one) => one * power >= most) ?? 10;
  return step * power;
}

/** Each day of the last so many, the newest last, as `2026-03-02`; days are those of UTC, as the server bills them. */
export function lastDays(count: number, now: Date): string[] {
  const day = 86_400_000;
  const today = Math.floor(now.getTime() / day) * day;
  return Array.from({ length: count }, (_, index) =>
    new Date(today - (count - 1 - index) * day).toISOString().slice(0, 10),
  );
}

/** One bar for each of the days, whether there is anything on it or not. */
export function sumUp<Row extends { day: string }>(
  days: readonly string[],
  rows: readonly Row[],
  counted: (row: Row) => number,
): { day: string; value: number }[] {
  const sums = new Map(days.map((day) => [day, 0]));
  for (const row of rows) {
    const sum = sums.get(row.day);
    if (sum !== undefined) sums.set(row.day, sum + counted(row));
  }
  return [...sums].map(([day, value]) => ({ day, value }));
}
