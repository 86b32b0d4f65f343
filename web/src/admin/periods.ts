/** Days in UTC, as the ledger has them, and the stretches of them that people ask for. */

import type { UsedByShown } from "../api/schema.ts";

export const PERIODS = ["days7", "days30", "month", "month_before", "days365"] as const;

export type PeriodName = (typeof PERIODS)[number];

/** Both days are in it. */
export interface Period {
  from: string;
  to: string;
}

export interface Day extends Omit<UsedByShown, "key" | "name" | "app"> {
  day: string;
}

const DAY = 86_400_000;

export function periodOf(name: PeriodName, now: Date): Period {
  const today = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
  switch (name) {
    case "days7":
      return span(today - 6 * DAY, today);
    case "days30":
      return span(today - 29 * DAY, today);
    case "days365":
      return span(today - 364 * DAY, today);
    case "month":
      return span(Date.UTC(year, month, 1), today);
    case "month_before":
      return span(Date.UTC(year, month - 1, 1), Date.UTC(year, month, 0));
  }
}

function span(from: number, to: number): Period {
  return { from: toDay(from), to: toDay(to) };
}

function toDay(moment: number): string {
  return new Date(moment).toISOString().slice(0, "2026-03-02".length);
}

/** All days of the period, in order; those without any use too. */
export function fillDays(period: Period, rows: readonly UsedByShown[]): Day[] {
  const known = new Map(rows.map((row) => [String(row.key), row]));
  const days: Day[] = [];
  for (let moment = Date.parse(period.from); moment <= Date.parse(period.to); moment += DAY) {
    const day = toDay(moment);
    days.push({ ...NOTHING, ...known.get(day), day });
  }
  return days;
}

const NOTHING = {
  turns: 0,
  prompt_tokens: 0,
  cached_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  cost: 0,
};
