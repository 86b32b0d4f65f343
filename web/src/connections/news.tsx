/** How much there is that nobody has read: at the list of people, in the tab's title, and read out as it comes. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { heard, listLine, type Notification } from "../list/list.ts";
import { showNews } from "../parts/title.ts";
import { useWatched } from "../parts/watched.ts";
import type { Told } from "./listed.ts";
import { isLookedAt } from "./looked_at.ts";
import { nameIn } from "./names.ts";
import { listed, lookAnew, note, useConnections } from "./queries.ts";
import { useWordsOfPeople } from "./words.ts";

/** What is read as it comes is never shown as unread. */
const PAUSE = 300;

export default function News() {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [news, setNews] = useState<{ id: string; name: string } | null>(null);
  const line = useWatched(listLine);
  const wasAway = useRef(false);
  const total = useConnections().data?.pages[0]?.unread_total ?? 0;
  useEffect(() => {
    showNews(total);
    return () => showNews(0);
  }, [total]);
  useEffect(() => {
    const waiting = new Map<string, Told>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const isKnown = (id: string) => listed(queries, id) !== undefined;
      if (![...waiting.keys()].every(isKnown)) void lookAnew(queries);
      for (const [id, told] of waiting) note(queries, id, told);
      waiting.clear();
    };
    const hear = () => {
      const told = heard.value;
      if (told === null) return;
      waiting.set(told.session_id, { ...waiting.get(told.session_id), ...toldBy(told) });
      timer ??= setTimeout(show, PAUSE);
      const known = listed(queries, told.session_id);
      if (!told.sender || known?.muted || isLookedAt(told.session_id)) return;
      setNews({ id: told.message_id, name: nameIn(known, told.sender.username) });
    };
    const end = heard.watch(hear);
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [queries]);
  useEffect(() => {
    if (line === "open" && wasAway.current) void lookAnew(queries);
    wasAway.current = line !== "open";
  }, [line, queries]);
  return (
    <>
      {total > 0 && (
        <span className="number">
          <span aria-hidden="true">{total > 99 ? "99+" : total}</span>
          <span className="visually-hidden">, {t("unread.messages", { n: total })}</span>
        </span>
      )}
      <span className="visually-hidden" role="status">
        {news !== null && <span key={news.id}>{t("news", { name: news.name })}</span>}
      </span>
    </>
  );
}

function toldBy({ unread_count, message_id: id, sender, preview = "", created_at }: Notification): Told {
  if (!sender) return { unread_count };
  const rest = { edited_at: null, removed: false, status: "complete", client_message_id: null } as const;
  return {
    unread_count,
    last_message: { id, number: 0, sender, role: "user", content: preview, created_at, ...rest },
  };
}
