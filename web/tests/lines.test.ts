import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "../src/presets/lines.ts";
import { chance } from "./chance.ts";

for (let seed = 1; seed <= 100; seed += 1) {
  test(`both texts can be read from what is told of them (${seed})`, () => {
    const { below, pick } = chance(seed);
    const text = () => Array.from({ length: below(8) }, () => pick(["a", "b", "c", ""])).join("\n");
    const [before, after] = [text(), text()];
    const lines = compare(before, after);
    const without = (kind: string) => lines.filter((one) => one.kind !== kind).map((one) => one.line);
    assert.equal(without("new").join("\n"), before);
    assert.equal(without("old").join("\n"), after);
  });
}

test("what is the same in both is told once", () => {
  assert.deepEqual(
    compare("one\ntwo\nthree", "one\nthree\nfour").map(({ kind, line }) => `${kind} ${line}`),
    ["same one", "old two", "same three", "new four"],
  );
});
