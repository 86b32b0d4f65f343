import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import type { SessionShown } from "../api/schema.ts";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { Mark } from "../parts/mark.tsx";
import { Menu } from "../parts/menu.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { AccountMenu } from "../people/account_menu.tsx";
import { useWords } from "../words/index.ts";
import { byDay } from "./days.ts";
import { deleteSession, leaving, list, loadMore, rename, unread } from "./list.ts";

export function Sidebar({ current, onChoose }: { current: string | null; onChoose: () => void }) {
  const t = useWords();
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
      </nav>
      <Conversations current={current} onChoose={onChoose} />
      <footer className="sidebar-foot">
        <AccountMenu />
      </footer>
    </>
  );
}

function Conversations({ current, onChoose }: { current: string | null; onChoose: () => void }) {
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
    </nav>
  );
}

interface OneConversationProps {
  session: SessionShown;
  isCurrent: boolean;
  unread: number;
  onChoose: () => void;
}

function OneConversation({ session, isCurrent, unread, onChoose }: OneConversationProps) {
  const t = useWords();
  const [renaming, setRenaming] = useState(false);
  const [, go] = useLocation();
  const row = useRef<HTMLLIElement>(null);
  const byKey = useRef(false);
  useEffect(() => {
    if (!renaming && byKey.current) row.current?.querySelector("a")?.focus();
    byKey.current = false;
  }, [renaming]);
  if (renaming) {
    const done = (isByKey: boolean) => {
      byKey.current = isByKey;
      setRenaming(false);
    };
    return <RenameForm session={session} onDone={done} />;
  }
  const remove = () => {
    if (isCurrent) go("/");
    deleteSession(session);
    backToComposer();
  };
  return (
    <li ref={row} className={isCurrent ? "conversation current" : "conversation"}>
      <Link href={`/c/${session.id}`} onClick={onChoose} aria-current={isCurrent ? "page" : undefined}>
        {session.title}
        {unread > 0 && <Badge>{t("unread", { n: unread })}</Badge>}
      </Link>
      <Menu
        label={t("conversation.menu", { title: session.title })}
        items={[
          { label: t("rename"), icon: "edit", run: () => setRenaming(true) },
          { label: t("delete"), icon: "trash", danger: true, run: remove },
        ]}
      >
        <Icon name="more" />
      </Menu>
    </li>
  );
}

function Badge({ children }: { children: ReactNode }) {
  return (
    <span className="badge">
      <span className="visually-hidden">{children}</span>
    </span>
  );
}

interface RenameFormProps {
  session: SessionShown;
  /** Whoever ends it by a key is still there; others have gone elsewhere. */
  onDone: (byKey: boolean) => void;
}

function RenameForm({ session, onDone }: RenameFormProps) {
  const t = useWords();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title")).trim();
    onDone(event.currentTarget.contains(document.activeElement));
    if (title !== "" && title !== session.title) {
      rename(session.id, title).catch(() => say(t("offline.try")));
    }
  };
  return (
    <li className="conversation renaming">
      <form onSubmit={submit}>
        <input
          name="title"
          defaultValue={session.title}
          maxLength={255}
          aria-label={t("rename")}
          // biome-ignore lint/a11y/noAutofocus: who chose to rename goes on by writing.
          autoFocus
          onFocus={(event) => event.currentTarget.select()}
          onBlur={(event) => event.currentTarget.form?.requestSubmit()}
          onKeyDown={(event) => event.key === "Escape" && onDone(true)}
        />
      </form>
    </li>
  );
}
