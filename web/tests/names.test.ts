import assert from "node:assert/strict";
import { test } from "node:test";
import type { CollectionShown } from "../src/api/schema.ts";
import { meantBy } from "../src/knowledge/names.ts";

function collection(id: string, name: string, owner: string, can_ask = true): CollectionShown {
  return { id, name, owner, can_ask } as CollectionShown;
}

const AMONG = [
  collection("1", "Rivers", "ana"),
  collection("2", "Rivers", "mira"),
  collection("3", "Lakes", "ana", false),
];

test("a name means one's own collection before another's, and an id means its own", () => {
  assert.equal(meantBy("Rivers", AMONG, "mira")?.id, "2");
  assert.equal(meantBy("Rivers", AMONG, "oleg")?.id, "1");
  assert.equal(meantBy("1", AMONG, "mira")?.id, "1");
});

test("a name means nothing that cannot be asked", () => {
  assert.equal(meantBy("Lakes", AMONG, "mira"), undefined);
  assert.equal(meantBy("3", AMONG, "mira")?.id, "3");
  assert.equal(meantBy(null, AMONG, "mira"), undefined);
});
