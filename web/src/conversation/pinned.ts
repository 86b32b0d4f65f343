/** Keeps the end of what grows in view, as long as its reader is there; whoever reads further up is left alone. */

import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

const NEAR = 80;

export function usePinned(scroller: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>) {
  const pinned = useRef(true);
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    pinned.current = true;
    const shown = scroller.current;
    if (shown !== null) shown.scrollTop = shown.scrollHeight;
  }, [scroller]);

  useEffect(() => {
    const shown = scroller.current;
    const inside = content.current;
    if (shown === null || inside === null) return;
    let [before, height] = [shown.scrollTop, shown.scrollHeight];
    const scrolled = () => {
      const isNear = shown.scrollHeight - shown.scrollTop - shown.clientHeight < NEAR;
      // Only a reader who goes up lets go: what grows moves the end away, and what shrinks moves the reader up.
      if (isNear) pinned.current = true;
      else if (shown.scrollTop < before && shown.scrollHeight >= height) pinned.current = false;
      [before, height] = [shown.scrollTop, shown.scrollHeight];
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

  return { atEnd, toEnd };
}
