import assert from "node:assert/strict";
import { test } from "node:test";
import { toPlaces } from "../src/conversation/places.ts";

test("each of several wordings knows the others, and what is answered twice knows its answers", () => {
  const places = toPlaces({
    branches: [
      { message_id: "b", parent_id: null, siblings: ["a", "b"] },
      { message_id: null, parent_id: "b", siblings: ["c", "d"] },
    ],
    open_replies: [],
    silent_replies: [],
  });
  assert.deepEqual(places.beside.get("a"), ["a", "b"]);
  assert.deepEqual(places.after.get("b"), ["c", "d"]);
  assert.equal(places.beside.get("x"), undefined);
});

test("a reply that was stopped without a word is known by its prompt, and one that failed is not", () => {
  const places = toPlaces({
    branches: [],
    open_replies: [],
    silent_replies: [
      { message_id: "b", prompt_id: "a", status: "stopped" },
      { message_id: "d", prompt_id: "c", status: "failed" },
    ],
  });
  assert.deepEqual([...places.stopped], [["a", "b"]]);
});
