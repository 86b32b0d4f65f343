/** Keeps the end of what grows in view, as long as its reader is there; whoever reads further up is left alone. */

import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

const NEAR = 80;

/**
 * `letGo`: the reader goes elsewhere. `hold`: whatever comes above it next leaves that row where it is. `first`: which
 * message stands first.
 */
export function usePinned(
  scroller: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
  first: string | undefined,
) {
  const pinned = useRef(true);
  const before = useRef(0);
  const held = useRef<{ row: Element; top: number } | null>(null);
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    pinned.current = true;
    const shown = scroller.current;
    if (shown === null) return;
    shown.scrollTop = shown.scrollHeight;
    // What has shrunk moved the reader up, too: that was no wish of theirs.
    before.current = shown.scrollTop;
  }, [scroller]);

  const letGo = useCallback(() => {
    pinned.current = false;
    if (scroller.current !== null) scroller.current.style.overflowAnchor = "auto";
  }, [scroller]);

  const hold = useCallback((row: Element) => {
    held.current = { row, top: row.getBoundingClientRect().top };
  }, []);

  useLayoutEffect(() => {
    const before = held.current;
    held.current = null;
    if (before === null || scroller.current === null) return;
    scroller.current.scrollTop += before.row.getBoundingClientRect().top - before.top;
  }, [scroller, first]);

  useEffect(() => {
    const shown = scroller.current;
    const inside = content.current;
    if (shown === null || inside === null) return;
    const scrolled = () => {
      const isNear = shown.scrollHeight - shown.scrollTop - shown.clientHeight < NEAR;
      // Only going up lets go: what grows also moves the end away.
      if (isNear) pinned.current = true;
      else if (shown.scrollTop < before.current) pinned.current = false;
      before.current = shown.scrollTop;
      // What is held at its end needs no anchor further up, which would pull against it.
      shown.style.overflowAnchor = pinned.current ? "none" : "auto";
      setAtEnd(isNear || pinned.current);
    };
    const observer = new ResizeObserver(() => {
      if (pinned.current) toEnd();
    });
    observer.observe(inside);
    observer.observe(shown);
    shown.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      observer.disconnect();
      shown.removeEventListener("scroll", scrolled);
    };
  }, [scroller, content, toEnd]);

  return { atEnd, toEnd, letGo, hold };
}
