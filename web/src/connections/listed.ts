/** The list of conversations with people as it is known here, and what is told of one of them. */

import type { PeopleConversation as Connected, MyConversations as Page } from "../api/schema.ts";

export interface Known<P> {
  pages: readonly Page[];
  pageParams: readonly P[];
}

export type Told = Partial<Pick<Connected, "unread_count" | "last_message">>;

export function listedAs(known: Known<unknown> | undefined, id: string): Connected | undefined {
  return known?.pages.flatMap((page) => page.conversations).find((one) => one.id === id);
}

/** With what was told of it. What was said anew brings it to the top; what is muted is in no total. */
export function withTold<P>(known: Known<P>, id: string, told: Told): { pages: Page[]; pageParams: P[] } {
  const pages = [...known.pages];
  const pageParams = [...known.pageParams];
  const [first] = pages;
  const was = listedAs(known, id);
  if (first === undefined || was === undefined) return { pages, pageParams };
  const now = { ...was, ...told };
  const more = was.muted || was.status === "ended" ? 0 : now.unread_count - was.unread_count;
  const isNew = (now.last_message?.id ?? null) !== (was.last_message?.id ?? null);
  const shown = pages.map((page, at) => {
    const there = isNew
      ? page.conversations.filter((one) => one.id !== id)
      : page.conversations.map((one) => (one.id === id ? now : one));
    return {
      ...page,
      unread_total: at === 0 ? page.unread_total + more : page.unread_total,
      conversations: isNew && at === 0 ? [now, ...there] : there,
    };
  });
  return { pages: shown, pageParams };
}
