/** What the numbers in a text stand for. What finds and draws them comes with the first reply that cites (`citation.tsx`). */

import type { Element, Root } from "hast";
import { type ComponentType, createContext } from "react";

export interface Citing {
  /** What each source is called; "" where it is not to be seen any more. */
  sources: ReadonlyMap<number, string>;
  open: (number: number) => void;
  /** With a `cite` in place of each citation. */
  mark: (tree: Root, sources: ReadonlyMap<number, string>) => Root;
  Citation: ComponentType<{ node?: Element; children?: unknown }>;
}

/** null: there is nothing to cite. */
export const Cited = createContext<Citing | null>(null);
