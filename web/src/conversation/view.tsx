import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import type { LineState } from "../api/line.ts";
import { useHealthAnew } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import type { MessageShown } from "../api/schema.ts";
import { list } from "../list/list.ts";
import { Away, useAway } from "../parts/away.tsx";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { showTitle } from "../parts/title.ts";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { nobody } from "../people/people.ts";
import { language, useWords } from "../words/index.ts";
import { useBranches } from "./branches.tsx";
import { Composer, type ComposerHandle } from "./composer.tsx";
import { draftOf, editIn, keepEdit } from "./drafts.ts";
import { useIsDummy } from "./dummy.ts";
import { type Live, liveOf } from "./live.ts";
import { useLooking } from "./looking.ts";
import { Missing, NotSent, Prompt, ReplyShown, System } from "./messages.tsx";
import { usePinned } from "./pinned.ts";
import type { Places } from "./places.ts";
import { type Row, rowsOf } from "./rows.ts";
import { SmallGauge } from "./small_gauge.tsx";
import type { Why } from "./story.ts";
import { Dots } from "./thinking.tsx";

const Asked = lazy(() => import("../knowledge/asked.tsx"));
const SettingsSheet = lazy(() => import("./settings.tsx"));
const Sought = lazy(() => import("./sought.ts"));

interface ConversationViewProps {
  id: string;
  /** A message to be led to. */
  sought: string | null;
}

export function ConversationView({ id, sought }: ConversationViewProps) {
  const live = useMemo(() => liveOf(id), [id]);
  useLooking(live, id);
  const line = useWatched(live.line);
  useEffect(() => {
    if (line === "signed_out") nobody();
  }, [line]);
  if (line === "gone") return <Gone />;
  return <Talk key={id} live={live} line={line} sought={sought} />;
}

interface TalkProps {
  live: Live;
  line: LineState;
  sought: string | null;
}

function Talk({ live, line, sought }: TalkProps) {
  const t = useWords();
  const story = useWatched(live.story);
  const waiting = useWatched(live.waiting);
  const sessions = useWatched(list).sessions;
  const [editing, setEditing] = useState(() => editIn(live.id)?.id ?? null);
  const [settings, setSettings] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const composer = useRef<ComposerHandle>(null);
  const { atEnd, toEnd, letGo, hold } = usePinned(scroller, content, story.messages[0]?.id);
  const rows = useMemo(() => rowsOf(story), [story]);
  const away = useAway(line);
  const places = useBranches(live);
  const isDummy = useIsDummy();
  useHealthAnew(useWatched(live.failures));

  const listed = sessions?.find((session) => session.id === live.id);
  const title = listed?.title ?? story.settings?.title ?? "";
  const ended = (listed ?? story.settings)?.status === "ended";
  useEffect(() => {
    showTitle(title);
  }, [title]);

  const send = (text: string) => {
    live.send(text);
    requestAnimationFrame(toEnd);
  };
  const edit = useCallback(
    (id: string | null) => {
      keepEdit(live.id, null);
      setEditing(id);
    },
    [live],
  );
  const takeBack = useCallback(
    (message: MessageShown) => {
      live.takeBackSaid(message).then((text) => {
        // What is being written just now is worth more.
        if (draftOf(live.id) === "") composer.current?.write(text);
        backToComposer();
      }, sayRefused);
    },
    [live],
  );
  const isWriting = story.replies.length > 0;
  const stop = () => void (live.command({ type: "stop" }) || say(t("offline.try")));
  const editLast = () => {
    const last = story.messages.findLast((message) => message.role === "user");
    if (last !== undefined && !isWriting) edit(last.id);
  };
  return (
    <main className="talk">
      <header className="talk-head">
        <h1>{title}</h1>
        <Suspense>
          <Asked conversation={live.id} said={story.messages.length} />
        </Suspense>
        <button type="button" className="button quiet" onClick={() => setSettings(true)}>
          {story.settings !== null && <SmallGauge messages={story.messages} settings={story.settings} />}
          <Icon name="settings" />
          <span>{isDummy ? t("model.none") : (listed ?? story.settings)?.model_name}</span>
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
              onEdit={edit}
              places={places}
              onTakeBack={takeBack}
              last={index === rows.length - 1}
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
        <WhoWrites writers={story.writers} me={story.settings?.user.username} />
        {ended ? (
          <p className="notice">{t("ended")}</p>
        ) : (
          <Composer
            ref={composer}
            place={live.id}
            onSend={send}
            onStop={isWriting ? stop : undefined}
            onEditLast={editLast}
            onWriting={(text) => live.writing(text)}
          />
        )}
      </footer>
      <Announcer live={live} />
      {sought !== null && (
        <Suspense>
          <Sought live={live} sought={sought} letGo={letGo} />
        </Suspense>
      )}
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
  places: Places;
  last: boolean;
  onEdit: (id: string | null) => void;
  onTakeBack: (message: MessageShown) => void;
}

function OneRow({ row, live, editing, places, last, onEdit, onTakeBack }: OneRowProps) {
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
          beside={places.beside.get(row.key)}
          onEdit={onEdit}
          onTakeBack={onTakeBack}
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
          beside={places.beside.get(row.key)}
          last={last}
        />
      );
    case "missing":
      return (
        <Missing
          live={live}
          prompt={row.prompt}
          why={row.why ?? whyOf(row.prompt, places)}
          known={places.known}
          others={places.after.get(row.prompt.id)}
        />
      );
  }
}

/** Where it was not heard here: the server still knows which reply was stopped. */
function whyOf(prompt: MessageShown, places: Places): Why | null {
  const reply = places.stopped.get(prompt.id);
  return reply === undefined ? null : { kind: "stopped", reply };
}

/** Not read out: it comes and goes. */
export function WhoWrites({ writers, me }: { writers: readonly string[]; me: string | undefined }) {
  const t = useWords();
  if (writers.length === 0) return null;
  const others = writers.filter((writer) => writer !== me);
  const names = new Intl.ListFormat(language(), { type: "conjunction" }).format(others);
  return (
    <p className="thinking writers">
      <Dots />
      {others.length === 0 ? t("writes.you") : t("writes", { n: others.length, names })}
    </p>
  );
}

interface OlderProps {
  live: Pick<Live, "loadOlder">;
  onLoad: () => void;
  /** With the row that stands first, before older ones are drawn above it. */
  onLoaded: (first: Element) => void;
}

export function Older({ live, onLoad, onLoaded }: OlderProps) {
  const t = useWords();
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  // It goes away with the last page.
  useLayoutEffect(() => {
    const shown = button.current;
    return () => {
      if (document.activeElement === shown) backToComposer();
    };
  }, []);
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
  return (
    <div className="visually-hidden" aria-live="polite" data-announcer>
      {finished !== null && finished.content !== "" && `${t("answered")} ${finished.content}`}
    </div>
  );
}

export function Gone() {
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
