import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import { common, createLowlight } from "lowlight";
import type { ReactNode } from "react";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";

const known = createLowlight(common);
/** Above this the page would stand still. */
const LONGEST = 100_000;

/** Elements of classes alone, without a style of their own. undefined where the language is not known. */
export function highlight(code: string, language: string): ReactNode {
  const name = language.toLowerCase();
  if (!known.registered(name) || code.length > LONGEST) return undefined;
  return toJsxRuntime(known.highlight(name, code), { Fragment, jsx, jsxs });
}
