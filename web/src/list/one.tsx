import { type FormEvent, type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";
import { Refused } from "../api/http.ts";
import type { MarkedSession } from "../api/schema.ts";
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

export function OneConversation({ session, isCurrent, unread, onChoose }: OneConversationProps) {
  const t = useWords();
  const [renaming, setRenaming] = useState(false);
  const [, go] = useLocation();
  if (renaming) return <RenameForm session={session} onDone={() => setRenaming(false)} />;
  const remove = () => {
    if (isCurrent) go("/");
    deleteSession(session);
  };
  const tried = (done: Promise<void>) => {
    done.catch((error: unknown) =>
      say(error instanceof Refused && error.message ? error.message : t("offline.try")),
    );
  };
  const { id, pinned, archived, title } = session;
  return (
    <li className={isCurrent ? "conversation current" : "conversation"}>
      <Link href={`/c/${id}`} onClick={onChoose} aria-current={isCurrent ? "page" : undefined}>
        {title}
        {unread > 0 && <Badge>{t("unread", { n: unread })}</Badge>}
      </Link>
      <Menu
        label={t("conversation.menu", { title })}
        items={[
          { label: t("rename"), icon: "edit", run: () => setRenaming(true) },
          { label: t(pinned ? "unpin" : "pin"), icon: "pin", run: () => tried(pin(id, !pinned)) },
          {
            label: t(archived ? "unarchive" : "to_archive"),
            icon: "archive",
            run: () => tried(archive(session, !archived)),
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

function RenameForm({ session, onDone }: { session: MarkedSession; onDone: () => void }) {
  const t = useWords();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title")).trim();
    onDone();
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
          onKeyDown={(event) => event.key === "Escape" && onDone()}
        />
      </form>
    </li>
  );
}
