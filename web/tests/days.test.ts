import assert from "node:assert/strict";
import { test } from "node:test";
import { lastDays, sumUp } from "../src/parts/days.ts";
import { money } from "../src/parts/money.ts";

test("the last days end today, and go over the ends of months and of summer time", () => {
  assert.deepEqual(lastDays(3, new Date("2026-03-01T23:30:00Z")), ["2026-02-27", "2026-02-28", "2026-03-01"]);
  assert.equal(new Set(lastDays(90, new Date("2026-11-26T04:00:00Z"))).size, 90);
});

test("what several models have used on a day is one sum, and a day without any is none", () => {
  const rows = [
    { day: "2026-03-01", used: 2 },
    { day: "2026-03-01", used: 3 },
    { day: "2026-01-01", used: 9 },
  ];
  assert.deepEqual(
    sumUp(["2026-02-28", "2026-03-01"], rows, (row) => row.used),
    [
      { day: "2026-02-28", value: 0 },
      { day: "2026-03-01", value: 5 },
    ],
  );
});

test("small sums are told in full, and in whatever currency", () => {
  assert.equal(money(1_234, "EUR", "en"), "€0.0012");
  assert.equal(money(12_345_678, "EUR", "en"), "€12.35");
  assert.equal(money(2_500_000, "Credits", "en"), "2.50 Credits");
});
