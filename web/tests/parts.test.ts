import assert from "node:assert/strict";
import { test } from "node:test";
import type { PassageShown } from "../src/api/schema.ts";
import { toParts } from "../src/knowledge/parts.ts";

const TEXT = "The 🌊 Loire is long. The Rhône is fast. The Saône is slow.";

function passage(number: number, start: number, end: number): PassageShown {
  const text = [...TEXT].slice(start, end).join("");
  return { document_id: "d", document_name: "rivers", number, start, end, page: null, heading: "", text };
}

const OVERLAPPING = [passage(0, 0, 20), passage(1, 14, 39), passage(2, 33, 58)];

test("passages that overlap are read as the one text that they are", () => {
  for (const meant of [0, 1, 2, 7]) {
    const parts = toParts(OVERLAPPING, meant);
    assert.equal(parts.map((part) => part.text).join(""), TEXT);
  }
});

test("the one that is meant is whole", () => {
  const [before, meant, after] = toParts(OVERLAPPING, 1);
  assert.equal(before?.text, [...TEXT].slice(0, 14).join(""));
  assert.deepEqual([meant?.text, meant?.isMeant], [OVERLAPPING[1]?.text, true]);
  assert.equal(after?.text, [...TEXT].slice(39).join(""));
});

test("what lies within another one is not said twice", () => {
  const parts = toParts([passage(0, 0, 40), passage(1, 10, 20), passage(2, 20, 58)], 1);
  assert.deepEqual(
    parts.map((part) => part.isMeant),
    [false, true, false],
  );
  assert.equal(parts.map((part) => part.text).join(""), TEXT);
});
