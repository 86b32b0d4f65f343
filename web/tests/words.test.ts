import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../src/words/", import.meta.url);

function read(name: string): Record<string, string> {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

function values(text: string): string[] {
  return [...text.matchAll(/\{\w+\}/g)].map(([value]) => value).sort();
}

const english = read("en.json");
const sources = readdirSync(new URL("../src/", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"))
  .join("\n");

for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json"))) {
  const words = read(name);

  test(`${name} has every word, with the same values in it, and no other`, () => {
    assert.deepEqual(Object.keys(words), Object.keys(english).sort());
    for (const [key, text] of Object.entries(english)) {
      assert.deepEqual(values(words[key] ?? ""), values(text), key);
      assert.notEqual(words[key]?.trim(), "", key);
    }
  });
}

test("no word is there that nothing says", () => {
  const said = (key: string) =>
    sources.includes(`"${key}"`) || sources.includes(`\`${key.split(".")[0]}.\${`);
  const silent = Object.keys(english).filter((key) => !said(key.replace(/\.one$/, "")));
  assert.deepEqual(silent, []);
});
