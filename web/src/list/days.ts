import type { MarkedSession } from "../api/schema.ts";

export type Day = "day.pinned" | "day.today" | "day.yesterday" | "day.week" | "day.month" | "day.older";

const LIMITS: readonly [Day, number][] = [
  ["day.today", 0],
  ["day.yesterday", 1],
  ["day.week", 7],
  ["day.month", 30],
];

/** In the order given, under the days on which something was last said; what is pinned has a place of its own. */
export function byDay(sessions: readonly MarkedSession[], now = new Date()): [Day, MarkedSession[]][] {
  const found = new Map<Day, MarkedSession[]>();
  for (const session of sessions) {
    const day = session.pinned ? "day.pinned" : dayOf(new Date(session.updated_at), now);
    found.set(day, [...(found.get(day) ?? []), session]);
  }
  return [...found];
}

function dayOf(time: Date, now: Date): Day {
  const midnight = (of: Date) => new Date(of.getFullYear(), of.getMonth(), of.getDate()).getTime();
  const ago = Math.round((midnight(now) - midnight(time)) / 86_400_000);
  return LIMITS.find(([, most]) => ago <= most)?.[0] ?? "day.older";
}
