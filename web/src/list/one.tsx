import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { sayRefused } from "../api/refused.ts";
import type { MarkedSession } from "../api/schema.ts";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { Menu } from "../parts/menu.tsx";
import { say } from "../parts/toasts.ts";
import { useWords } from "../words/index.ts";
import { archive, deleteSession, pin, rename } from "./list.ts";

interface OneConversationProps {
  session: MarkedSession;
  isCurrent: boolean;
  unread: number;
  onChoose: () => void;
}

/** What was pinned just now stands elsewhere in the list, and has the focus again there. */
let moved: string | null = null;

export function OneConversation({ session, isCurrent, unread, onChoose }: OneConversationProps) {
  const t = useWords();
  const [renaming, setRenaming] = useState(false);
  const [, go] = useLocation();
  const row = useRef<HTMLLIElement>(null);
  const byKey = useRef(false);
  useEffect(() => {
    if (moved !== session.id) return;
    moved = null;
    if (document.activeElement === document.body) row.current?.querySelector("button")?.focus();
  }, [session.id]);
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
  const tried = (done: Promise<void>) => {
    done.catch(sayRefused);
  };
  const { id, pinned, archived, title } = session;
  const move = () => {
    moved = id;
    tried(pin(id, !pinned));
  };
  const putAway = () => {
    tried(archive(session, !archived));
    backToComposer();
  };
  return (
    <li ref={row} className={isCurrent ? "conversation current" : "conversation"}>
      <Link href={`/c/${id}`} onClick={onChoose} aria-current={isCurrent ? "page" : undefined}>
        {title}
        {unread > 0 && <Badge>{t("unread", { n: unread })}</Badge>}
      </Link>
      <Menu
        label={t("conversation.menu", { title })}
        items={[
          { label: t("rename"), icon: "edit", run: () => setRenaming(true) },
          { label: t(pinned ? "unpin" : "pin"), icon: "pin", run: move },
          {
            label: t(archived ? "unarchive" : "to_archive"),
            icon: "archive",
            run: putAway,
          },
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
  session: MarkedSession;
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
