/** Leads to a message that was found: into its branch, as far up as it stands. */

import { useEffect, useRef } from "react";
import { ask } from "../api/http.ts";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { moreWord } from "../words/more.ts";
import type { Live } from "./live.ts";

interface SoughtProps {
  live: Live;
  sought: string;
  letGo: () => void;
}

export default function Sought({ live, sought, letGo }: SoughtProps): null {
  const story = useWatched(live.story);
  const done = useRef<string | null>(null);
  const busy = useRef(false);
  useEffect(() => {
    if (sought === done.current || story.settings === null || busy.current) return;
    if (story.messages.some((message) => message.id === sought)) {
      done.current = sought;
      letGo();
      requestAnimationFrame(() => show(sought));
      return;
    }
    busy.current = true;
    lead(live, sought, story.hasMore)
      .catch(() => {
        done.current = sought;
        void moreWord("search.gone").then(say);
      })
      .finally(() => {
        busy.current = false;
      });
  }, [live, sought, story, letGo]);
  return null;
}

/** One step nearer. Throws where there is no way. */
async function lead(live: Live, id: string, hasMore: boolean): Promise<void> {
  if (hasMore) await live.loadOlder();
  else await ask("POST", `ai-chat/api/sessions/${live.id}/messages/${id}/show/`);
}

function show(id: string): void {
  const shown = document.querySelector<HTMLElement>(`[data-message="${CSS.escape(id)}"]`);
  if (shown === null) return;
  shown.scrollIntoView({ block: "center" });
  shown.tabIndex = -1;
  shown.focus({ preventScroll: true });
  shown.classList.add("sought");
}
