import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { LineState } from "../api/line.ts";
import { list, lookAt } from "../list/list.ts";
import { Away, useAway } from "../parts/away.tsx";
import { Icon } from "../parts/icon.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { nobody, queries } from "../people/people.ts";
import { useWords } from "../words/index.ts";
import { Composer, type ComposerHandle } from "./composer.tsx";
import { type Live, liveOf } from "./live.ts";
import { Missing, NotSent, Prompt, ReplyShown, System } from "./messages.tsx";
import { usePinned } from "./pinned.ts";
import { type Row, rowsOf } from "./rows.ts";

const SettingsSheet = lazy(() => import("./settings.tsx"));

export function ConversationView({ id }: { id: string }) {
  const live = useMemo(() => liveOf(id), [id]);
  useEffect(() => {
    const seen = () => document.visibilityState === "visible" && live.comeBack();
    live.enter();
    lookAt(id);
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      live.leave();
      lookAt(null);
    };
  }, [live, id]);
  const line = useWatched(live.line);
  useEffect(() => {
    if (line === "signed_out") nobody();
  }, [line]);
  if (line === "gone") return <Gone />;
  return <Talk key={id} live={live} line={line} />;
}

function Talk({ live, line }: { live: Live; line: LineState }) {
  const t = useWords();
  const story = useWatched(live.story);
  const waiting = useWatched(live.waiting);
  const sessions = useWatched(list).sessions;
  const [editing, setEditing] = useState<string | null>(null);
  const [settings, setSettings] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const composer = useRef<ComposerHandle>(null);
  const { atEnd, toEnd, letGo, hold } = usePinned(scroller, content);
  const rows = useMemo(() => rowsOf(story), [story]);
  const away = useAway(line);

  const listed = sessions?.find((session) => session.id === live.id);
  const title = listed?.title ?? story.settings?.title ?? "";
  const ended = (listed ?? story.settings)?.status === "ended";
  useEffect(() => {
    document.title = title === "" ? "Palaver" : `${title} · Palaver`;
  }, [title]);

  const send = (text: string) => {
    live.send(text);
    requestAnimationFrame(toEnd);
  };
  const isWriting = story.replies.length > 0;
  const stop = () => void (live.command({ type: "stop" }) || say(t("offline.try")));
  const editLast = () => {
    const last = story.messages.findLast((message) => message.role === "user");
    if (last !== undefined && !isWriting) setEditing(last.id);
  };
  return (
    <main className="talk">
      <header className="talk-head">
        <h1>{title}</h1>
        <button type="button" className="button quiet" onClick={() => setSettings(true)}>
          <Icon name="settings" />
          <span>{(listed ?? story.settings)?.model_name}</span>
          <span className="visually-hidden">: {t("settings")}</span>
        </button>
      </header>
      <div className="scroller" ref={scroller}>
        <div className="column" ref={content}>
          {story.hasMore && <Older live={live} onLoad={letGo} onLoaded={hold} />}
          {rows.map((row, index) => (
            <OneRow
              key={row.key}
              row={row}
              live={live}
              editing={row.key === editing}
              onEdit={setEditing}
              curious={isCurious(rows, index)}
            />
          ))}
          {waiting.map((one) => (
            <NotSent key={one.id} live={live} waiting={one} away={away} />
          ))}
          {story.settings === null && !away && <div className="loading" aria-busy="true" />}
        </div>
      </div>
      {!atEnd && (
        <button
          type="button"
          className="round to-end"
          aria-label={t("to_end")}
          title={t("to_end")}
          onClick={toEnd}
        >
          <Icon name="down" />
        </button>
      )}
      <footer className="talk-foot">
        {away && <Away onTry={() => live.comeBack()} />}
        {ended ? (
          <p className="notice">{t("ended")}</p>
        ) : (
          <Composer
            ref={composer}
            place={live.id}
            onSend={send}
            onStop={isWriting ? stop : undefined}
            onEditLast={editLast}
          />
        )}
      </footer>
      <Announcer live={live} />
      {settings && story.settings !== null && (
        <Suspense>
          <SettingsSheet live={live} settings={story.settings} onClose={() => setSettings(false)} />
        </Suspense>
      )}
    </main>
  );
}

interface OneRowProps {
  row: Row;
  live: Live;
  editing: boolean;
  curious: boolean;
  onEdit: (id: string | null) => void;
}

function OneRow({ row, live, editing, curious, onEdit }: OneRowProps) {
  switch (row.kind) {
    case "system":
      return <System message={row.message} />;
    case "prompt":
      return (
        <Prompt
          live={live}
          message={row.message}
          queued={row.queued}
          editing={editing}
          curious={curious}
          onEdit={onEdit}
        />
      );
    case "reply":
      return (
        <ReplyShown
          live={live}
          id={row.key}
          text={row.text}
          message={row.message}
          prompt={row.prompt}
          curious={curious}
        />
      );
    case "missing":
      return <Missing live={live} prompt={row.prompt} />;
  }
}

/** Other branches stand beside the last two messages, or where numbers are left out; elsewhere one has to come near. */
function isCurious(rows: readonly Row[], index: number): boolean {
  const numberAt = (at: number) => {
    const row = rows[at];
    return row === undefined || row.kind === "missing" ? undefined : row.message?.number;
  };
  const number = numberAt(index);
  if (number === undefined) return false;
  const before = numberAt(index - 1);
  return index >= rows.length - 2 || (before !== undefined && number > before + 1);
}

interface OlderProps {
  live: Live;
  onLoad: () => void;
  /** With the row that stands first, before older ones are drawn above it. */
  onLoaded: (first: Element) => void;
}

function Older({ live, onLoad, onLoaded }: OlderProps) {
  const t = useWords();
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const load = async () => {
    if (busy) return;
    setBusy(true);
    onLoad();
    try {
      await live.loadOlder();
      const first = button.current?.nextElementSibling;
      if (first) onLoaded(first);
    } catch {
      say(t("offline.try"));
    } finally {
      setBusy(false);
    }
  };
  return (
    <button ref={button} type="button" className="button ghost older" aria-disabled={busy} onClick={load}>
      {t("older")}
    </button>
  );
}

/** Read out once a reply is whole, and never while it is written. */
function Announcer({ live }: { live: Live }) {
  const t = useWords();
  const finished = useWatched(live.finished);
  useEffect(() => {
    if (finished === null) return;
    void queries.invalidateQueries({ queryKey: ["siblings", live.id] });
  }, [finished, live]);
  return (
    <div className="visually-hidden" aria-live="polite" data-announcer>
      {finished !== null && finished.content !== "" && `${t("answered")} ${finished.content}`}
    </div>
  );
}

function Gone() {
  const t = useWords();
  const [, go] = useLocation();
  return (
    <main className="empty">
      <h1>{t("gone")}</h1>
      <button type="button" className="button primary" onClick={() => go("/")}>
        {t("new")}
      </button>
    </main>
  );
}
