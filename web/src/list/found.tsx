/** Looking for words in the titles and messages of one's conversations. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { ask } from "../api/http.ts";
import type { Found as FoundShown, MessageFound } from "../api/schema.ts";
import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { marked, withoutMarks } from "./marked.ts";
import { OneConversation } from "./one.tsx";

/** Nobody waits for what they are still writing. */
const PAUSE = 200;
const PAGE = 20;
/** What was said just now is read by the server a moment later. */
const AGAIN = 1_000;

interface FoundProps {
  words: string;
  current: string | null;
  onChoose: () => void;
}

export default function Found({ words, current, onChoose }: FoundProps) {
  const t = useMoreWords();
  const wanted = usePaused(words.trim());
  const [most, setMost] = useState(PAGE);
  const { data, isError, isPending } = useQuery({
    queryKey: ["search", wanted, most],
    queryFn: () =>
      ask<FoundShown>("GET", `ai-chat/api/search/?q=${encodeURIComponent(wanted)}&limit=${most}`),
    staleTime: 0,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data?.complete === false ? AGAIN : false),
  });
  const nothing = data !== undefined && data.sessions.length + data.messages.length === 0;
  return (
    <nav className="conversations" aria-label={t("search.found")} aria-busy={isPending}>
      <p className="visually-hidden" role="status">
        {data !== undefined && t("search.count", { n: data.sessions.length + data.messages.length })}
      </p>
      {isPending && <div className="loading" />}
      {isError && (
        <p className="notice warn" role="alert">
          {t("offline.try")}
        </p>
      )}
      {nothing && <p className="quiet">{t(data.complete ? "search.nothing" : "search.reading")}</p>}
      {data !== undefined && data.sessions.length > 0 && (
        <section>
          <h2>{t("search.titles")}</h2>
          <ul>
            {data.sessions.map((session) => (
              <OneConversation
                key={session.id}
                session={session}
                isCurrent={session.id === current}
                unread={0}
                onChoose={onChoose}
              />
            ))}
          </ul>
        </section>
      )}
      {data !== undefined && data.messages.length > 0 && (
        <section>
          <h2>{t("search.messages")}</h2>
          <ul>
            {data.messages.map((message) => (
              <Message key={message.message_id} message={message} words={wanted} onChoose={onChoose} />
            ))}
          </ul>
        </section>
      )}
      {data?.has_more && most < 100 && (
        <button type="button" className="button ghost" onClick={() => setMost(Math.min(100, most + PAGE))}>
          {t("search.more")}
        </button>
      )}
    </nav>
  );
}

interface MessageProps {
  message: MessageFound;
  words: string;
  onChoose: () => void;
}

function Message({ message, words, onChoose }: MessageProps) {
  const t = useMoreWords();
  const day = new Intl.DateTimeFormat(language(), { dateStyle: "medium" });
  return (
    <li className="conversation found">
      <Link href={`/c/${message.session_id}/${message.message_id}`} onClick={onChoose}>
        <strong>{message.session_title}</strong>
        <span className="snippet">
          {marked(withoutMarks(message.snippet), words).map(({ text, hit, at }) =>
            hit ? <mark key={at}>{text}</mark> : <span key={at}>{text}</span>,
          )}
        </span>
        <small>
          {t(message.role === "user" ? "you" : "bot")} · {day.format(new Date(message.created_at))}
          {message.archived && ` · ${t("archive")}`}
        </small>
      </Link>
    </li>
  );
}

function usePaused(words: string): string {
  const [paused, setPaused] = useState(words);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(words), PAUSE);
    return () => clearTimeout(timer);
  }, [words]);
  return paused;
}
