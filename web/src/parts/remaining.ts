import { type FocusEvent, type RefObject, useLayoutEffect, useRef } from "react";

interface Remaining<T extends HTMLElement> {
  ref: RefObject<T | null>;
  onFocus: (event: FocusEvent<T>) => void;
}

/**
 * For a list of which rows can go: the focus of a row that goes is that of the row that then stands there, or of the last
 * one, or, with the last one, of the heading above. To be spread on what stays when there are none.
 */
export function useRemaining<T extends HTMLElement>(): Remaining<T> {
  const ref = useRef<T>(null);
  const last = useRef<{ row: Element; among: Element; at: number } | null>(null);
  useLayoutEffect(() => {
    const list = ref.current;
    if (list === null || last.current === null || last.current.row.isConnected) return;
    const focused = document.activeElement;
    // Who was asked first is asked still: the focus comes back with the end of that.
    if (focused?.closest("dialog")?.contains(list) === false) return;
    const { among, at } = last.current;
    if (focused === null || focused === document.body)
      toRemaining(list, among.isConnected ? among : list, at);
    last.current = null;
  });
  return {
    ref,
    onFocus: ({ target }) => {
      const row = target.closest("li");
      const among = row?.parentElement;
      if (row && among) last.current = { row, among, at: [...among.children].indexOf(row) };
    },
  };
}

function toRemaining(list: Element, among: Element, at: number): void {
  const rows = among.querySelectorAll("li");
  const button = rows[Math.min(at, rows.length - 1)]?.querySelector("button");
  if (button) {
    button.focus();
    return;
  }
  const heading = list.closest("section, dialog, main")?.querySelector<HTMLElement>("h1, h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus();
}
