import assert from "node:assert/strict";
import { test } from "node:test";
import { marked } from "../src/list/marked.ts";

function show(line: string, sought: string): string {
  return marked(line, sought)
    .map(({ text, hit }) => (hit ? `[${text}]` : text))
    .join("");
}

test("beginnings of words are marked, whatever their case and accents", () => {
  assert.equal(show("Die Rhône und der RHEIN", "rhon rhe"), "Die [Rhôn]e und der [RHE]IN");
  assert.equal(show("a river, rivers, driver", "river"), "a [river], [river]s, driver");
});

test("a line in which nothing was sought is whole", () => {
  assert.equal(show("…<b>one</b>…", "two"), "…<b>one</b>…");
  assert.equal(show("", "two"), "");
  assert.equal(show("one", "?!"), "one");
});
