import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const LOOK = new URL("../src/look/", import.meta.url);
const everywhere = readdirSync(LOOK)
  .map((name) => readFileSync(new URL(name, LOOK), "utf8"))
  .join("\n");
const administration = readFileSync(new URL("../src/admin/admin.css", import.meta.url), "utf8");

function classesOf(text: string): string[] {
  return [...text.matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name ?? "");
}

/** What stands before each block, without the rules that only hold other rules. */
function selectorsOf(css: string): string[] {
  const blocks = [...css.replace(/\/\*.*?\*\//gs, "").matchAll(/([^{};]+)\{/g)];
  return blocks
    .map(([, selector]) => (selector ?? "").trim())
    .filter((selector) => !selector.startsWith("@"));
}

/** Of `a > b, c`: `a` and `c`. */
function firstsOf(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((one) => one.trim().match(/^(?:[^\s>+~(]|\([^)]*\))+/)?.[0] ?? "");
}

test("what the administration looks like changes nothing outside of it", () => {
  const known = new Set(classesOf(selectorsOf(everywhere).join("\n")));
  const leaking = selectorsOf(administration)
    .flatMap(firstsOf)
    .filter((first) => classesOf(first).every((name) => known.has(name)));
  assert.deepEqual(leaking, []);
});
