import assert from "node:assert/strict";
import { test } from "node:test";
import type { Element, Root, RootContent } from "hast";
import { citedIn } from "../src/knowledge/cited.ts";
import { withCites } from "../src/markdown/citing.ts";

const KNOWN = new Map([
  [1, "handbook.pdf"],
  [2, ""],
]);

function element(tagName: string, ...children: (Element | string)[]): Element {
  return { type: "element", tagName, properties: {}, children: children.map(toNode) };
}

function toNode(child: Element | string): Element | { type: "text"; value: string } {
  return typeof child === "string" ? { type: "text", value: child } : child;
}

function root(...children: Element[]): Root {
  return { type: "root", children };
}

/** With what is a citation in angle brackets. */
function spell(node: Root | RootContent): string {
  if (node.type === "text") return node.value;
  if (node.type === "element" && node.tagName === "cite") return `<${node.properties.dataNumber}>`;
  return "children" in node ? node.children.map(spell).join("") : "";
}

test("a number is a citation where there is a source of that number, and else what it was", () => {
  const text = element("p", "It is green [1], or blue [2][1]. Not so [3], [0], [one], [1 ], [1234].");
  assert.equal(
    spell(withCites(root(text), KNOWN)),
    "It is green <1>, or blue <2><1>. Not so [3], [0], [one], [1 ], [1234].",
  );
});

test("it is found within whatever else there is, but not in code and not in a link", () => {
  const deep = element(
    "ul",
    element("li", element("strong", "See [1]"), element("em", element("del", "[2]"))),
  );
  const literal = [element("code", "a[1]"), element("pre", element("code", "b[1]")), element("a", "[1]")];
  assert.equal(spell(withCites(root(deep, ...literal), KNOWN)), "See <1><2>a[1]b[1][1]");
});

test("nothing of a text is lost, whatever stands in it", () => {
  for (const text of ["", "[1]", "[1][1]", "[[1]]", "[1", "1]", "[1]\n[2]", "a [1] b"]) {
    const shown = spell(withCites(root(element("p", text)), KNOWN));
    assert.equal(shown.replaceAll("<", "[").replaceAll(">", "]"), text);
  }
});

test("several are cited at once, as models write it, where there is a source of each number", () => {
  const text = element("p", "So [1, 2], [1-2], 【2】, 【1†handbook】. Not so [1, 3], [1-3], [2-1], [1-999].");
  assert.equal(
    spell(withCites(root(text), KNOWN)),
    "So <1><2>, <1><2>, <2>, <1>. Not so [1, 3], [1-3], <2><1>, [1-999].",
  );
});

test("what a text cites is told by its numbers, and not by those in code and links", () => {
  assert.deepEqual([...citedIn("[1] and [3, 5], again [1], 【8】, [10–12]")], [1, 3, 5, 8, 10, 11, 12]);
  const code = "```js\na[1] = `b`;\n```\nand `c[2]`, ``d[3] ` ``, [4](https://example.org), but [5]";
  assert.deepEqual([...citedIn(code)], [5]);
});
