/** A line of a list: what it is called, what is to be said of it, and what can be done with it. */

import type { ReactNode } from "react";
import { Icon } from "../parts/icon.tsx";
import { type Item, Menu } from "../parts/menu.tsx";
import { useRemaining } from "../parts/remaining.ts";
import { useAdminWords } from "./words.ts";

export type Tone = "good" | "warn" | "bad" | "plain";

interface RowProps {
  name: string;
  /** What is the matter with it, where anything is. */
  badges?: readonly (readonly [Tone, string] | false)[];
  items: readonly (Item | "line")[];
  children?: ReactNode;
}

export function Row({ name, badges = [], items, children }: RowProps) {
  const t = useAdminWords();
  return (
    <li className="admin-row">
      <div className="admin-row-words">
        <h3>
          <span>{name}</span>
          {badges.map((badge) => badge && <Badge key={badge[1]} tone={badge[0]} words={badge[1]} />)}
        </h3>
        {children}
      </div>
      {items.length > 0 && (
        <Menu label={t("more", { name })} items={items}>
          <Icon name="more" />
        </Menu>
      )}
    </li>
  );
}

export function Badge({ tone, words }: { tone: Tone; words: string }) {
  return <span className={`state ${tone}`}>{words}</span>;
}

export function Rows({ children, none }: { children: readonly ReactNode[]; none: string }) {
  const remaining = useRemaining<HTMLDivElement>();
  return (
    <div {...remaining}>
      {children.length === 0 ? (
        <p className="admin-none">{none}</p>
      ) : (
        <ul className="admin-rows">{children}</ul>
      )}
    </div>
  );
}
