/** How much there is that nobody has read: at the list of people, in the tab's title, and read out as it comes. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { heard, listLine } from "../list/list.ts";
import { showNews } from "../parts/title.ts";
import { useWatched } from "../parts/watched.ts";
import { isLookedAt } from "./looked_at.ts";
import { lookAnew, useConnections } from "./queries.ts";
import { useWordsOfPeople } from "./words.ts";

/** Many messages at once are one reason to look. */
const PAUSE = 300;

export default function News() {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const told = useWatched(heard);
  const line = useWatched(listLine);
  const wasAway = useRef(false);
  const total = useConnections().data?.pages[0]?.unread_total ?? 0;
  useEffect(() => {
    showNews(total);
    return () => showNews(0);
  }, [total]);
  useEffect(() => {
    if (told === null) return;
    const timer = setTimeout(() => void lookAnew(queries), PAUSE);
    return () => clearTimeout(timer);
  }, [told, queries]);
  useEffect(() => {
    if (line === "open" && wasAway.current) void lookAnew(queries);
    wasAway.current = line !== "open";
  }, [line, queries]);
  const isNews = told !== null && told.unread_count > 0 && !isLookedAt(told.session_id);
  return (
    <>
      {total > 0 && (
        <span className="number">
          <span aria-hidden="true">{total > 99 ? "99+" : total}</span>
          <span className="visually-hidden">, {t("unread.messages", { n: total })}</span>
        </span>
      )}
      <span className="visually-hidden" role="status">
        {isNews && told.sender && t("news", { name: told.sender.username })}
      </span>
    </>
  );
}
