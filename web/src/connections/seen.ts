/** Notes what is really seen: in view, in a tab that is looked at. */

import { type RefObject, useEffect } from "react";
import type { Talk } from "./talk.ts";

export function useSeen(
  talk: Talk,
  scroller: RefObject<HTMLElement | null>,
  line: string,
  count: number,
): void {
  useEffect(() => {
    const shown = scroller.current;
    if (shown === null || line !== "open") return;
    const look = () => {
      if (document.visibilityState === "visible") markSeen(talk, shown);
    };
    const soon = requestAnimationFrame(look);
    shown.addEventListener("scroll", look, { passive: true });
    document.addEventListener("visibilitychange", look);
    return () => {
      cancelAnimationFrame(soon);
      shown.removeEventListener("scroll", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [talk, scroller, line, count]);
}

/** The lowest whose beginning is in view: those above it have been passed. */
function markSeen(talk: Talk, shown: HTMLElement): void {
  const { bottom } = shown.getBoundingClientRect();
  const messages = talk.story.value.messages;
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index];
    const row = message && shown.querySelector(`[data-message="${CSS.escape(message.id)}"]`);
    if (message === undefined || !row || row.getBoundingClientRect().top >= bottom) continue;
    talk.markRead(message);
    return;
  }
}
