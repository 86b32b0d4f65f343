/** A text in Markdown, block by block. It holds no HTML: what looks like it is shown as it was written. */

import type { Element } from "hast";
import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import type { Definition, Html } from "mdast";
import { toHast } from "mdast-util-to-hast";
import { type ComponentProps, memo, type ReactNode, useContext, useRef } from "react";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";
import { useWords } from "../words/index.ts";
import { linkTo } from "./addresses.ts";
import { type Block, type Blocks, NO_BLOCKS, split } from "./blocks.ts";
import { Cited, type Citing } from "./cited.ts";
import { CodeBlock } from "./code.tsx";
import { Formula } from "./formula.tsx";
import { RemoteImage } from "./image.tsx";

/**
 * Blocks stand together in stretches. Those out of sight are neither laid out nor painted anew when the text grows: with a
 * thousand blocks side by side the browser's own work for each piece doubled.
 */
const STRETCH = 20;

interface MarkdownProps {
  text: string;
  grows: boolean;
  citing: Citing | null;
}

export default function Markdown({ text, grows, citing }: MarkdownProps) {
  const last = useRef<Blocks>(NO_BLOCKS);
  last.current = split(text, last.current);
  const { blocks, definitions } = last.current;
  const starts = Array.from({ length: Math.ceil(blocks.length / STRETCH) }, (_, index) => index * STRETCH);
  return (
    <Cited value={citing}>
      {starts.map((start) => (
        <Stretch
          key={start}
          blocks={blocks.slice(start, start + STRETCH)}
          definitions={definitions}
          grows={grows && start + STRETCH >= blocks.length}
        />
      ))}
    </Cited>
  );
}

interface StretchProps {
  blocks: readonly Block[];
  definitions: readonly Definition[];
  grows: boolean;
}

const Stretch = memo(function Stretch({ blocks, definitions, grows }: StretchProps) {
  return (
    <div className="stretch">
      {blocks.map((block, index) => (
        <OneBlock
          key={block.start}
          block={block}
          definitions={definitions}
          grows={grows && index === blocks.length - 1}
        />
      ))}
    </div>
  );
}, isSameStretch);

function isSameStretch(one: StretchProps, other: StretchProps): boolean {
  return (
    one.grows === other.grows &&
    one.definitions === other.definitions &&
    one.blocks.length === other.blocks.length &&
    one.blocks.every((block, index) => block === other.blocks[index])
  );
}

interface OneBlockProps {
  block: Block;
  definitions: readonly Definition[];
  grows: boolean;
}

const OneBlock = memo(function OneBlock({ block, definitions, grows }: OneBlockProps) {
  const { node } = block;
  const citing = useContext(Cited);
  if (node.type === "code") return <CodeBlock code={node.value} language={node.lang ?? ""} grows={grows} />;
  if (node.type === "math") return <Formula tex={node.value} display />;
  const alone = node.type === "paragraph" && node.children.length === 1 ? node.children[0] : undefined;
  if (alone?.type === "inlineMath") return <Formula tex={alone.value} display />;
  const tree = toHast({ type: "root", children: [...definitions, node] }, { handlers: { html } });
  return toJsxRuntime(citing === null || tree.type !== "root" ? tree : citing.mark(tree, citing.sources), {
    passNode: true,
    Fragment,
    jsx,
    jsxs,
    components: {
      a: Link,
      ...(citing && { cite: citing.Citation }),
      img: RemoteImage,
      code: Code,
      input: Task,
      pre: InnerCode,
      table: Table,
    },
  });
});

function html(_state: unknown, node: Html) {
  return { type: "text" as const, value: node.value };
}

function Link({ href, children }: ComponentProps<"a">) {
  const t = useWords();
  const place = linkTo(href ?? "");
  if (place === null) return <span>{children}</span>;
  return (
    <a
      href={place.href}
      target="_blank"
      rel="noopener noreferrer nofollow"
      className="leaves"
      title={place.shown}
    >
      {children}
      <span className="visually-hidden"> ({t("link.leaves", { place: place.shown })})</span>
    </a>
  );
}

/** The box before what is to be done. */
function Task({ checked }: ComponentProps<"input">) {
  const t = useWords();
  return (
    <input
      type="checkbox"
      disabled
      checked={checked ?? false}
      aria-label={t(checked ? "task.done" : "task.open")}
    />
  );
}

function Code({ node, children }: { node?: Element; children?: ReactNode }) {
  const isFormula = node !== undefined && classesOf(node).includes("math-inline");
  return isFormula ? <Formula tex={textOf(node)} display={false} /> : <code>{children}</code>;
}

function classesOf(element: Element): readonly string[] {
  const names = element.properties.className;
  return Array.isArray(names) ? names.map(String) : [];
}

function textOf(element: Element): string {
  return element.children.map((child) => (child.type === "text" ? child.value : "")).join("");
}

/** A block of code inside something else, as in a list. */
function InnerCode({ node }: { node?: Element; children?: unknown }) {
  const code = node?.children[0];
  if (code?.type !== "element") return null;
  const classes = classesOf(code);
  const language = classes.find((name) => name.startsWith("language-"))?.slice("language-".length) ?? "";
  const text = textOf(code);
  if (classes.includes("math-display")) return <Formula tex={text} display />;
  return <CodeBlock code={text.replace(/\n$/, "")} language={language} grows={false} />;
}

function Table({ children }: ComponentProps<"table">) {
  const t = useWords();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard.
    <section className="table" tabIndex={0} aria-label={t("table")}>
      <table>{children}</table>
    </section>
  );
}
