/** The conversations with people, beside those with the assistant. */

import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";
import { withoutMarks } from "../list/marked.ts";
import { Icon } from "../parts/icon.tsx";
import { useWho } from "../people/people.ts";
import { useLanguage } from "../words/index.ts";
import "./connections.css";
import type { PeopleConversation as Connected } from "../api/schema.ts";
import { isCalled, nameIn, others, titleOf } from "./names.ts";
import { Avatar, Presence } from "./presence.tsx";
import { useConnections } from "./queries.ts";
import { useWordsOfPeople } from "./words.ts";

const Begin = lazy(() => import("./begin.tsx"));

interface PeopleListProps {
  /** Of all that are known, only those whose names have these words. */
  sought: string;
  current: string | null;
  onChoose: () => void;
}

export default function PeopleList({ sought, current, onChoose }: PeopleListProps) {
  const t = useWordsOfPeople();
  const [beginning, setBeginning] = useState(false);
  const { data, isError, hasNextPage, fetchNextPage } = useConnections();
  const listed = data?.pages.flatMap((page) => page.conversations);
  const found = listed?.filter((connected) => isCalled(connected, sought));
  return (
    <nav className="conversations" aria-label={t("people")} aria-busy={listed === undefined && !isError}>
      <button type="button" className="button people-begin" onClick={() => setBeginning(true)}>
        <Icon name="new" />
        {t("begin")}
      </button>
      {isError && listed === undefined && <p className="quiet">{t("offline.try")}</p>}
      {listed?.length === 0 && <p className="quiet">{t("people.none")}</p>}
      <div role="status">
        {listed?.length !== 0 && found?.length === 0 && <p className="quiet">{t("people.not_found")}</p>}
      </div>
      <ul>
        {found?.map((connected) => (
          <One
            key={connected.id}
            connected={connected}
            isCurrent={connected.id === current}
            onChoose={onChoose}
          />
        ))}
      </ul>
      {hasNextPage && (
        <button type="button" className="button ghost" onClick={() => void fetchNextPage()}>
          {t("conversations.more")}
        </button>
      )}
      {beginning && (
        <Suspense>
          <Begin onClose={() => setBeginning(false)} onBegun={onChoose} />
        </Suspense>
      )}
    </nav>
  );
}

interface OneProps {
  connected: Connected;
  isCurrent: boolean;
  onChoose: () => void;
}

function One({ connected, isCurrent, onChoose }: OneProps) {
  const t = useWordsOfPeople();
  const language = useLanguage();
  const me = useWho().data?.username ?? null;
  const { id, kind, unread_count, muted, status } = connected;
  const title = titleOf(connected, me, language) || t("people.alone");
  const [other] = others(connected, me);
  const last = lastWords(connected);
  return (
    <li className={isCurrent ? "conversation person current" : "conversation person"}>
      <Link href={`/people/${id}`} onClick={onChoose} aria-current={isCurrent ? "page" : undefined}>
        <span className="person-face">
          <Avatar name={title} />
          {kind === "pair" && other !== undefined && <Presence person={other} />}
        </span>
        <span className="person-words">
          <strong>{title}</strong>
          <small>{last || t(kind === "group" ? "group" : "people.silent")}</small>
        </span>
        {unread_count > 0 ? (
          <span className={muted ? "number muted" : "number"}>
            <span aria-hidden="true">{unread_count > 99 ? "99+" : unread_count}</span>
            <span className="visually-hidden">, {t("unread.messages", { n: unread_count })}</span>
          </span>
        ) : (
          (muted || status === "ended") && (
            <small className="person-state">{t(status === "ended" ? "over" : "muted")}</small>
          )
        )}
      </Link>
    </li>
  );

  function lastWords({ last_message: message }: Connected): string {
    if (message === null) return "";
    const words = message.removed ? t("removed") : withoutMarks(message.content);
    if (message.sender === null)
      return message.role === "assistant" ? `${connected.bot?.name ?? t("bot")}: ${words}` : words;
    if (message.sender.username === me) return `${t("you")}: ${words}`;
    return kind === "group" ? `${nameIn(connected, message.sender.username)}: ${words}` : words;
  }
}
