/**
 * Markdown in pieces that can be drawn by themselves. While a text grows, only its last two blocks are read again: what
 * stands before them cannot change any more. So a piece costs the same at the end of a long reply as at its beginning.
 */

import type { Definition, RootContent } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmAutolinkLiteralFromMarkdown } from "mdast-util-gfm-autolink-literal";
import { gfmStrikethroughFromMarkdown } from "mdast-util-gfm-strikethrough";
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { gfmTaskListItemFromMarkdown } from "mdast-util-gfm-task-list-item";
import { mathFromMarkdown } from "mdast-util-math";
import { gfmAutolinkLiteral } from "micromark-extension-gfm-autolink-literal";
import { gfmStrikethrough } from "micromark-extension-gfm-strikethrough";
import { gfmTable } from "micromark-extension-gfm-table";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";
import { math } from "micromark-extension-math";

export interface Block {
  /** Where it begins in the text. */
  start: number;
  source: string;
  node: RootContent;
}

export interface Blocks {
  text: string;
  blocks: readonly Block[];
  /** What `[names]` anywhere in the text stand for. */
  definitions: readonly Definition[];
}

export const NO_BLOCKS: Blocks = { text: "", blocks: [], definitions: [] };

// A single dollar is money.
const SYNTAX = [
  gfmAutolinkLiteral(),
  gfmStrikethrough(),
  gfmTable(),
  gfmTaskListItem(),
  math({ singleDollarTextMath: false }),
];
const TREE = [
  gfmAutolinkLiteralFromMarkdown(),
  gfmStrikethroughFromMarkdown(),
  gfmTableFromMarkdown(),
  gfmTaskListItemFromMarkdown(),
  mathFromMarkdown(),
];

/** The blocks of `text`; those of `before` that stay the same are the same objects. */
export function split(text: string, before: Blocks = NO_BLOCKS): Blocks {
  if (text === before.text) return before;
  if (!text.startsWith(before.text)) return whole(text, NO_BLOCKS);
  const longer = lengthen(text, before);
  if (longer !== null) return longer;
  const stay = before.blocks.slice(0, -2);
  // With the blanks before it: they belong to how it is read.
  const from = startOfLine(text, before.blocks[stay.length]?.start ?? 0);
  // What a name stands for has to be known where it is used.
  const names = stay.filter(isDefinition).map((block) => `${block.source}\n\n`);
  const read = parse(names.join("") + text.slice(from), from - names.join("").length).slice(names.length);
  const blocks = [...stay, ...reuse(read, before.blocks.slice(stay.length))];
  const definitions = definitionsIn(blocks);
  if (!isSame(definitions, before.definitions)) return whole(text, before);
  return { text, blocks, definitions: before.definitions };
}

/** Read from the beginning: a new definition changes what stood there all along. */
function whole(text: string, before: Blocks): Blocks {
  const blocks = reuse(parse(text, 0), before.blocks);
  return { text, blocks, definitions: definitionsIn(blocks) };
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/** A block of code that is still open only gets longer: it need not be read again, however long it is. */
function lengthen(text: string, before: Blocks): Blocks | null {
  const last = before.blocks.at(-1);
  const fence = last?.node.type === "code" ? FENCE.exec(last.source)?.[1] : undefined;
  if (last === undefined || last.node.type !== "code" || fence === undefined) return null;
  const added = text.slice(before.text.length);
  const isFirstLine = !last.source.includes("\n");
  const lastLine = text.slice(startOfLine(text, before.text.length));
  // What may close it, or say what it is, or be an indented fence's own blanks, is for the parser.
  const isIndented = startOfLine(text, last.start) !== last.start;
  if (isFirstLine || isIndented || lastLine.includes(fence[0] as string)) return null;
  if (before.text.length !== last.start + last.source.length || added.includes("\r")) return null;
  const source = last.source + added;
  const value = source.slice(source.indexOf("\n") + 1).replace(/\n$/, "");
  return {
    ...before,
    text,
    blocks: [...before.blocks.slice(0, -1), { ...last, source, node: { ...last.node, value } }],
  };
}

function startOfLine(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}

function parse(text: string, from: number): Block[] {
  const root = fromMarkdown(withDollars(text), { extensions: SYNTAX, mdastExtensions: TREE });
  return root.children.map((node) => {
    const start = node.position?.start.offset ?? 0;
    return { start: from + start, source: text.slice(start, node.position?.end.offset ?? text.length), node };
  });
}

/** Code, closed or not, is left alone; then come formulas in the brackets that models like: \( … \) and \[ … \]. */
const CODE_OR_FORMULA = new RegExp(
  [
    /^ {0,3}(?<fence>`{3,}|~{3,})[\s\S]*?(?:^ {0,3}\k<fence>[`~]*[ \t]*$|$(?![\s\S]))/,
    /(?<ticks>`+)(?!`)[\s\S]*?(?<!`)\k<ticks>(?!`)/,
    /(?<!\\)\\\((?:(?!\\\)|\n\n)[\s\S])+\\\)/,
    /(?<!\\)\\\[(?:(?!\\\]|\n\n)[\s\S])+\\\]/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gm",
);

/** With formulas in dollars, which Markdown knows. It is as long as before, so that every place stays where it is. */
function withDollars(text: string): string {
  if (!text.includes("\\(") && !text.includes("\\[")) return text;
  return text.replace(CODE_OR_FORMULA, (found) =>
    found.startsWith("\\") ? `$$${found.slice(2, -2)}$$` : found,
  );
}

function reuse(read: readonly Block[], before: readonly Block[]): Block[] {
  return read.map((block) => {
    const same = before.find((one) => one.start === block.start);
    return same !== undefined && same.source === block.source && isSame(same.node, block.node) ? same : block;
  });
}

function isDefinition(block: Block): boolean {
  return block.node.type === "definition";
}

function definitionsIn(blocks: readonly Block[]): readonly Definition[] {
  return blocks.flatMap((block) => (block.node.type === "definition" ? [block.node] : []));
}

function isSame(one: unknown, other: unknown): boolean {
  return shape(one) === shape(other);
}

function shape(node: unknown): string {
  return JSON.stringify(node, (key, value: unknown) => (key === "position" ? undefined : value));
}
