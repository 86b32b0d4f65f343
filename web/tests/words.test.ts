import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

// Those of everybody, and those that are fetched with what is opened.
const FOLDERS = [
  "../src/words/",
  "../src/words/more/",
  "../src/admin/words/",
  "../src/connections/words/",
  "../src/knowledge/words/",
].map((path) => new URL(path, import.meta.url));

function read(folder: URL, name: string): Record<string, string> {
  return JSON.parse(readFileSync(new URL(name, folder), "utf8"));
}

function values(text: string): string[] {
  return [...text.matchAll(/\{\w+\}/g)].map(([value]) => value).sort();
}

const sources = readdirSync(new URL("../src/", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"))
  .join("\n");

for (const folder of FOLDERS) {
  const english = read(folder, "en.json");
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));

  test(`${folder.pathname} has the same languages as all others`, () => {
    assert.deepEqual(
      files,
      readdirSync(FOLDERS[0] ?? folder).filter((file) => file.endsWith(".json")),
    );
  });

  for (const name of files) {
    const words = read(folder, name);

    test(`${folder.pathname}${name} has every word, with the same values in it, and no other`, () => {
      assert.deepEqual(Object.keys(words), Object.keys(english).sort());
      for (const [key, text] of Object.entries(english)) {
        assert.deepEqual(values(words[key] ?? ""), values(text), key);
        assert.notEqual(words[key]?.trim(), "", key);
      }
    });
  }

  test(`no word is in ${folder.pathname} that nothing says`, () => {
    const said = (key: string) =>
      sources.includes(`"${key}"`) || sources.includes(`\`${key.split(".")[0]}.\${`);
    const silent = Object.keys(english).filter((key) => !said(key.replace(/\.one$/, "")));
    assert.deepEqual(silent, []);
  });
}
