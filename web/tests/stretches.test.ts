import assert from "node:assert/strict";
import { test } from "node:test";
import { toStretches } from "../src/knowledge/stretches.ts";

test("code and tables of a passage are told from its words, and no line is lost", () => {
  const words = "The lamps:\n";
  const table = "Lamp | Colour\nnorth | green";
  const between = "\nOne | alone is a sentence.";
  const code = "```\nlight()\n\n  wait()\n```";
  assert.deepEqual(toStretches([words, table, between, code, "Done."].join("\n")), [
    { text: words, isSet: false },
    { text: table, isSet: true },
    { text: between, isSet: false },
    { text: code, isSet: true },
    { text: "Done.", isSet: false },
  ]);
});

test("a fence that is closed in the next passage goes to the end of this one", () => {
  assert.deepEqual(toStretches("Thus:\n~~~\na = 1\n```"), [
    { text: "Thus:", isSet: false },
    { text: "~~~\na = 1\n```", isSet: true },
  ]);
});
