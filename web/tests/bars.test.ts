import assert from "node:assert/strict";
import { test } from "node:test";
import { lastDays, sumUp, topOf } from "../src/parts/bars.ts";

test("an axis ends at the least round number that nothing passes", () => {
  assert.deepEqual(
    [[0], [1], [3, 2], [11], [260], [9_999], [0.3]].map((values) => topOf(values)),
    [1, 1, 5, 20, 500, 10_000, 0.5],
  );
});

test("the last days end today, and go over the ends of months and of summer time", () => {
  assert.deepEqual(lastDays(3, new Date("2026-03-01T23:30:00Z")), ["2026-02-27", "2026-02-28", "2026-03-01"]);
  assert.equal(new Set(lastDays(90, new Date("2026-11-26T04:00:00Z"))).size, 90);
});

test("what several models have used on a day is one bar, and a day without any is none", () => {
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
