import assert from "node:assert/strict";
import { test } from "node:test";
import { fillDays, PERIODS, periodOf } from "../src/admin/periods.ts";
import { priceOf, toMillionths } from "../src/admin/prices.ts";
import { toServerName } from "../src/admin/server_name.ts";
import { greatest, roundUp } from "../src/parts/figures.ts";

const USED = {
  turns: 1,
  prompt_tokens: 2,
  cached_tokens: 0,
  completion_tokens: 3,
  total_tokens: 5,
  cost: 7,
  name: null,
  app: null,
};

test("a period is told in days of UTC, and ends today", () => {
  const late = new Date("2026-03-01T23:59:59-05:00");
  assert.deepEqual(
    PERIODS.map((name) => periodOf(name, late)),
    [
      { from: "2026-02-24", to: "2026-03-02" },
      { from: "2026-02-01", to: "2026-03-02" },
      { from: "2026-03-01", to: "2026-03-02" },
      { from: "2026-02-01", to: "2026-02-28" },
      { from: "2025-03-03", to: "2026-03-02" },
    ],
  );
});

test("last month of a January is a December", () => {
  const period = periodOf("month_before", new Date("2027-01-15T12:00:00Z"));
  assert.deepEqual(period, { from: "2026-12-01", to: "2026-12-31" });
});

test("days without any use are there too, in order", () => {
  const days = fillDays({ from: "2026-02-27", to: "2026-03-01" }, [{ ...USED, key: "2026-02-28" }]);
  assert.deepEqual(
    days.map(({ day, total_tokens }) => [day, total_tokens]),
    [
      ["2026-02-27", 0],
      ["2026-02-28", 5],
      ["2026-03-01", 0],
    ],
  );
});

test("a scale ends at a round number that nothing goes beyond", () => {
  for (const most of [0, 0.03, 1, 2, 3, 19, 20, 21, 999, 1_000, 5_000_001, 10 ** 15]) {
    const top = roundUp(most);
    assert.ok(top >= most, String(most));
    assert.ok(most === 0 || top <= 2.5 * most, String(most));
    assert.match(top.toExponential(), /^[125](e|\.0*e)/);
  }
});

test("the greatest stand first, the rest is one, and nothing is lost", () => {
  const figures = [3, 0, 9, 1, 5].map((figure) => ({ name: `n${figure}`, figure }));
  assert.deepEqual(greatest(figures, 3, "others"), [
    { name: "n9", figure: 9 },
    { name: "n5", figure: 5 },
    { name: "others", figure: 4 },
  ]);
  assert.deepEqual(
    greatest(figures, 4, "others").map(({ name }) => name),
    ["n9", "n5", "n3", "n1"],
  );
});

test("money is whole millionths, with a point or a comma", () => {
  assert.deepEqual(["0.15", "0,6", "2", "0.000001"].map(toMillionths), [150_000, 600_000, 2_000_000, 1]);
});

test("the price that holds is the last one of the model that has begun", () => {
  const price = (model: string, since: string) => ({ model, since, input: 1, cached_input: 1, output: 1 });
  const [old, now, later, other] = [
    price("a", "2026-01-01T00:00:00Z"),
    price("a", "2026-02-01T00:00:00Z"),
    price("a", "2026-04-01T00:00:00Z"),
    price("b", "2026-02-15T00:00:00Z"),
  ];
  const all = [later, now, old, other].filter((one) => one !== undefined);
  const at = Date.parse("2026-03-01T00:00:00Z");
  assert.equal(priceOf(all, "a", at), now);
  assert.equal(priceOf(all, "c", at), undefined);
});

test("a server that nobody has named has a name that the server takes", () => {
  for (const [url, name] of [
    ["http://localhost:11434", "localhost-11434"],
    ["https://LLM.Example.org/v1", "llm.example.org"],
    ["http://[::1]:8000", "1-8000"],
    ["???", "server"],
    [`http://${"x".repeat(60)}.org`, "x".repeat(46)],
  ] as const) {
    assert.equal(toServerName(url), name);
    assert.match(toServerName(url, 9), /^[a-z0-9][a-z0-9._-]{0,49}$/);
  }
  assert.equal(toServerName("http://localhost:11434", 2), "localhost-11434-2");
});
