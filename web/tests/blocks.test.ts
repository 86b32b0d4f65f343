import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_BLOCKS, split } from "../src/markdown/blocks.ts";
import { chance } from "./chance.ts";

const PARTS = [
  "# A heading\n\n",
  "Some words, *stressed* and **strong**, with `code` and a [link](https://example.org).\n\n",
  "Lazy\nlines\n",
  "- one\n- two\n  - deeper\n\n  a paragraph in it\n\n",
  "1. first\n2. second\n",
  "- [x] done\n- [ ] open\n\n",
  "> quoted\nlazily\n\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
  "```python\nprint('~~~')\n\n# not a heading\n```\n",
  "~~~\ntildes ``` inside\n~~~\n\n",
  "  ```js\n  indented()\n  ```\n",
  "````md\n```\ninner\n```\n````\n\n",
  "    indented code\n\n    more of it\n\n",
  "Title\n===\n\n",
  "---\n",
  "<div>\n\nnot html\n\n</div>\n\n",
  "[name]: https://example.org/name\n\n",
  "See [name].\n\n",
  "Say \\(x^2\\) and `\\(code\\)`.\n\n",
  "\\[\n\\frac{1}{2}\n\\]\n\n",
  "\\[ a \\] and \\( never closed\n\n",
  "$$\nE = mc^2\n$$\n\n",
  "It costs $5 or $10.\n\n",
  "```tex\n\\(kept\\)\n```\n",
  "🜁 é\u0301 ñ\n",
  "a\\\nb  \nc\n",
  "```\nnever closed\n  and indented\n",
];

function shapes(text: string): unknown {
  return strip(split(text).blocks.map((block) => [block.source, block.node]));
}

function strip(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => (key === "position" ? undefined : inner)));
}

for (let seed = 1; seed <= 120; seed += 1) {
  const { below, pick } = chance(seed);
  const text = Array.from({ length: 1 + below(6) }, () => pick(PARTS)).join("");
  test(`text that grows piece by piece has the blocks of the whole text (${seed})`, () => {
    let blocks = NO_BLOCKS;
    for (let end = 0; end < text.length; ) {
      end = Math.min(text.length, end + 1 + below(9));
      blocks = split(text.slice(0, end), blocks);
    }
    assert.deepEqual(strip(blocks.blocks.map((block) => [block.source, block.node])), shapes(text));
  });
}

test("formulas are formulas, and money and code are not", () => {
  const found = (text: string) => JSON.stringify(strip(split(text).blocks.map(({ node }) => node)));
  assert.match(found("See \\(x^2\\)."), /"inlineMath","value":"x\^2"/);
  assert.match(found("\\[\n\\frac{1}{2}\n\\]"), /"math".*frac\{1\}\{2\}/);
  assert.match(found("$$\nE = mc^2\n$$"), /"math"/);
  for (const text of [
    "It costs $5 or $10.",
    "`\\(x\\)`",
    "```\n\\(x\\)\n```",
    "~~~\n\\(x\\)",
    "\\(a\n\nb\\)",
  ]) {
    assert.doesNotMatch(found(text), /math|\$\$/i, text);
  }
});

test("blocks that stand are kept as they are, so that nothing draws them again", () => {
  const before = split("one\n\ntwo\n\nthree\n\nfo");
  const after = split("one\n\ntwo\n\nthree\n\nfour", before);
  assert.equal(after.blocks[0], before.blocks[0]);
  assert.equal(after.blocks[1], before.blocks[1]);
  assert.equal(after.blocks[2], before.blocks[2]);
  assert.notEqual(after.blocks[3], before.blocks[3]);
});

test("a piece at the end of a long reply costs what one at its beginning costs", () => {
  const paragraph = "Words and `code` and **more** of them, one after the other, to the end of the line.\n\n";
  const code = `\`\`\`js\n${"const a = 1; // a line of code\n".repeat(600)}`;
  for (const text of [paragraph.repeat(250), code]) {
    const costs: number[] = [];
    let blocks = NO_BLOCKS;
    for (let end = 8; end <= text.length; end += 8) {
      const start = performance.now();
      blocks = split(text.slice(0, end), blocks);
      costs.push(performance.now() - start);
    }
    const tenth = Math.floor(costs.length / 10);
    const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
    const [first, last] = [median(costs.slice(tenth, 2 * tenth)), median(costs.slice(-tenth))];
    assert.ok(last < 3 * first + 0.3, `${last} ms at the end, ${first} ms near the beginning`);
  }
});
