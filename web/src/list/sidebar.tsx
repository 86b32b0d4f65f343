import { lazy, type Ref, Suspense, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { Link } from "wouter";
import { Icon } from "../parts/icon.tsx";
import { Mark } from "../parts/mark.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { AccountMenu } from "../people/account_menu.tsx";
import { useWho } from "../people/people.ts";
import { useWords } from "../words/index.ts";
import { byDay } from "./days.ts";
import { leaving, list, loadMore, unread } from "./list.ts";
import { OneConversation } from "./one.tsx";
import { SearchField } from "./search_field.tsx";

const Archive = lazy(() => import("./archive.tsx"));
const Found = lazy(() => import("./found.tsx"));
const News = lazy(() => import("../connections/news.tsx"));
const PeopleList = lazy(() => import("../connections/people_list.tsx"));

interface SidebarProps {
  current: string | null;
  /** Whom the page that is shown is about: people, the assistant, or neither. */
  side: Side | null;
  onChoose: () => void;
}

/** With whom one talks. */
export type Side = "bot" | "people";

const SIDES: readonly Side[] = ["bot", "people"];

export function Sidebar({ current, side: shown, onChoose }: SidebarProps) {
  const t = useWords();
  const isPerson = useWho().data?.isGuest === false;
  const [side, setSide] = useState<Side>(shown ?? "bot");
  const [sought, setSought] = useState("");
  const [away, setAway] = useState(false);
  const toArchive = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (shown !== null) setSide(shown);
  }, [shown]);
  const comeBack = () => {
    flushSync(() => setAway(false));
    toArchive.current?.focus();
  };
  return (
    <>
      <header className="sidebar-head">
        <Link href="/" onClick={onChoose} aria-label={t("home")}>
          <Mark />
        </Link>
      </header>
      <nav className="sidebar-doors">
        <Link href="/" onClick={onChoose} className={(active) => (active ? "door active" : "door")}>
          <Icon name="new" />
          {t("new")}
        </Link>
        <Link href="/presets" onClick={onChoose} className={(active) => (active ? "door active" : "door")}>
          <Icon name="spark" />
          {t("presets")}
        </Link>
        <Link href="/knowledge" onClick={onChoose} className={(active) => (active ? "door active" : "door")}>
          <Icon name="book" />
          {t("knowledge")}
        </Link>
        <SearchField value={sought} onChange={setSought} />
        {isPerson && (
          <fieldset className="sides" aria-label={t("conversations")}>
            {SIDES.map((one) => (
              <button key={one} type="button" aria-pressed={one === side} onClick={() => setSide(one)}>
                {t(one)}
                {one === "people" && (
                  <Suspense>
                    <News />
                  </Suspense>
                )}
              </button>
            ))}
          </fieldset>
        )}
      </nav>
      <Suspense fallback={<nav className="conversations" aria-busy="true" />}>
        {side === "people" && isPerson ? (
          <PeopleList sought={sought} current={current} onChoose={onChoose} />
        ) : sought.trim() !== "" ? (
          <Found words={sought} current={current} onChoose={onChoose} />
        ) : away ? (
          <Archive current={current} onChoose={onChoose} onBack={comeBack} />
        ) : (
          <Conversations
            current={current}
            onChoose={onChoose}
            onArchive={() => setAway(true)}
            toArchive={toArchive}
          />
        )}
      </Suspense>
      <footer className="sidebar-foot">
        <AccountMenu onChoose={onChoose} />
      </footer>
    </>
  );
}

interface ConversationsProps {
  current: string | null;
  onChoose: () => void;
  onArchive: () => void;
  /** The button that leads there. */
  toArchive: Ref<HTMLButtonElement>;
}

function Conversations({ current, onChoose, onArchive, toArchive }: ConversationsProps) {
  const t = useWords();
  const { sessions, total } = useWatched(list);
  const hidden = useWatched(leaving);
  const news = useWatched(unread);
  if (sessions === null)
    return <nav className="conversations" aria-label={t("conversations")} aria-busy="true" />;
  const shown = sessions.filter((session) => !hidden.has(session.id));
  return (
    <nav className="conversations" aria-label={t("conversations")}>
      {shown.length === 0 && <p className="quiet">{t("conversations.none")}</p>}
      {byDay(shown).map(([day, those]) => (
        <section key={day}>
          <h2>{t(day)}</h2>
          <ul>
            {those.map((session) => (
              <OneConversation
                key={session.id}
                session={session}
                isCurrent={session.id === current}
                unread={news[session.id] ?? 0}
                onChoose={onChoose}
              />
            ))}
          </ul>
        </section>
      ))}
      {sessions.length < total && (
        <button
          type="button"
          className="button ghost"
          onClick={() => loadMore().catch(() => say(t("offline.try")))}
        >
          {t("conversations.more")}
        </button>
      )}
      <button ref={toArchive} type="button" className="to-archive" onClick={onArchive}>
        <Icon name="archive" />
        {t("archive")}
      </button>
    </nav>
  );
}
