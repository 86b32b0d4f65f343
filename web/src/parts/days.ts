/** What was on which day. */

/** Each day of the last so many, the newest last, as `2026-03-02`; days are those of UTC, as the server bills them. */
export function lastDays(count: number, now: Date): string[] {
  const day = 86_400_000;
  const today = Math.floor(now.getTime() / day) * day;
  return Array.from({ length: count }, (_, index) =>
    new Date(today - (count - 1 - index) * day).toISOString().slice(0, 10),
  );
}

/** A sum for each of the days, whether there is anything on it or not. */
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
