import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageShown, ModelShown } from "../src/api/schema.ts";
import { filled, spent } from "../src/conversation/room.ts";

function answer(read: number, written: number, model = "m"): MessageShown {
  const usage = { prompt_tokens: read, completion_tokens: written, total_tokens: read + written };
  return { metadata: { model, usage } } as MessageShown;
}

const models = [{ name: "m", context_length: 1000 }] as ModelShown[];
const silent = { metadata: {} } as MessageShown;

test("the newest answer tells how full it is, against the least that bounds it", () => {
  const messages = [answer(10, 5), answer(90, 10), silent];
  assert.deepEqual(filled(messages, models, null), { read: 90, written: 10, room: 1000, share: 0.1 });
  assert.equal(filled(messages, models, 200)?.share, 0.5);
  assert.equal(filled(messages, models, 50)?.share, 1);
  assert.equal(filled([answer(1, 1, "other")], models, null)?.share, null);
  assert.equal(filled([silent], models, null), null);
});

test("what all answers have used is added up", () => {
  assert.deepEqual(spent([answer(10, 5), silent, answer(90, 10)]), { answers: 2, read: 100, written: 15 });
});
