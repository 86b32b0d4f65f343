/** A conversation with people, as it goes on. */

import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { sayRefused } from "../api/refused.ts";
import { Composer } from "../conversation/composer.tsx";
import { editIn, keepEdit, moveDraft } from "../conversation/drafts.ts";
import { useLooking } from "../conversation/looking.ts";
import { NotSent } from "../conversation/messages.tsx";
import { usePinned } from "../conversation/pinned.ts";
import { Gone, Older, WhoWrites } from "../conversation/view.tsx";
import { Away, useAway } from "../parts/away.tsx";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { showTitle } from "../parts/title.ts";
import { useWatched } from "../parts/watched.ts";
import { nobody, useWho } from "../people/people.ts";
import { useLanguage } from "../words/index.ts";
import "./connections.css";
import type {
  PeopleConversation as Connected,
  MemberShown as Member,
  PersonMessage as Said,
} from "../api/schema.ts";
import { Message, Written } from "./message.tsx";
import { nameIn, nameOf, others, titleOf } from "./names.ts";
import { Presence } from "./presence.tsx";
import { begin, lookAnew, note, stopBot, take, unblock, useConnection } from "./queries.ts";
import { type Row, rowsOf, seenBy } from "./rows.ts";
import { useSeen } from "./seen.ts";
import { type Talk, talkOf } from "./talk.ts";
import { useWordsOfPeople } from "./words.ts";

const About = lazy(() => import("./about.tsx"));
const Begin = lazy(() => import("./begin.tsx"));

export default function PeopleView({ id }: { id: string | undefined }) {
  return id === undefined ? <NobodyChosen /> : <ConnectionView id={id} />;
}

function NobodyChosen() {
  const t = useWordsOfPeople();
  const [beginning, setBeginning] = useState(false);
  const title = t("people");
  useEffect(() => showTitle(title), [title]);
  return (
    <main className="empty">
      <h1>{t("people.choose")}</h1>
      <button type="button" className="button primary" onClick={() => setBeginning(true)}>
        {t("begin")}
      </button>
      {beginning && (
        <Suspense>
          <Begin onClose={() => setBeginning(false)} onBegun={() => undefined} />
        </Suspense>
      )}
    </main>
  );
}

function ConnectionView({ id }: { id: string }) {
  const talk = useMemo(() => talkOf(id), [id]);
  useLooking(talk, id);
  const line = useWatched(talk.line);
  useEffect(() => {
    if (line === "signed_out") nobody();
  }, [line]);
  const queries = useQueryClient();
  useEffect(() => {
    // Whoever was taken out of a group hears it so.
    if (line === "gone") void lookAnew(queries);
  }, [line, queries]);
  if (line === "gone") return <Gone />;
  return <Shown talk={talk} />;
}

function Shown({ talk }: { talk: Talk }) {
  const t = useWordsOfPeople();
  const language = useLanguage();
  const queries = useQueryClient();
  const me = useWho().data?.username ?? null;
  const line = useWatched(talk.line);
  const story = useWatched(talk.story);
  const waiting = useWatched(talk.waiting);
  const read = useWatched(talk.read);
  const changed = useWatched(talk.changed);
  const { data: connected } = useConnection(talk.id);
  const [editing, setEditing] = useState(() => editIn(talk.id)?.id ?? null);
  const [about, setAbout] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { messages, replies } = story;
  const { atEnd, toEnd, letGo, hold } = usePinned(scroller, content, messages[0]?.id);
  const rows = useMemo(() => rowsOf(messages, replies), [messages, replies]);
  const away = useAway(line);
  useSeen(talk, scroller, line, messages.length);

  const title = connected === undefined ? "" : titleOf(connected, me, language) || t("people.alone");
  useEffect(() => showTitle(title), [title]);
  useEffect(() => {
    if (connected !== undefined) talk.know(connected.members);
  }, [talk, connected]);
  // What cannot be told by an event: who is in it.
  useEffect(() => {
    if (changed > 0) void lookAnew(queries);
  }, [changed, queries]);
  const last = messages.at(-1);
  useEffect(() => {
    if (last !== undefined) note(queries, talk.id, { last_message: last });
  }, [talk, last, queries]);

  const edit = useCallback(
    (id: string | null) => {
      keepEdit(talk.id, null);
      setEditing(id);
      if (id === null) backToComposer();
    },
    [talk],
  );
  const aboutWords = t(connected?.kind === "group" ? "about.group" : "about.pair");
  const send = (text: string) => {
    talk.send(text);
    requestAnimationFrame(toEnd);
  };
  const stop = () => void stopBot(talk.id).catch(sayRefused);
  const editLast = () => {
    const own = messages.findLast(({ sender, removed }) => sender?.username === me && !removed);
    if (own !== undefined) edit(own.id);
  };
  const name = (username: string) => nameIn(connected, username);
  const isAnswered = last?.sender?.username !== me;
  const seen = me === null || isAnswered ? [] : seenBy(messages, read, me).map(name);
  const names = new Intl.ListFormat(language, { type: "conjunction" }).format(seen);
  return (
    <main className="talk people-talk">
      <header className="talk-head">
        <h1>
          {title}
          {connected && <There connected={connected} me={me} />}
        </h1>
        <button
          type="button"
          className="button quiet"
          // On a phone there is no room for the words.
          aria-label={aboutWords}
          disabled={connected === undefined}
          onClick={() => setAbout(true)}
        >
          <Icon name="settings" />
          <span>{aboutWords}</span>
        </button>
      </header>
      <div className="scroller" ref={scroller}>
        <div className="column" ref={content}>
          {story.hasMore && <Older live={talk} onLoad={letGo} onLoaded={hold} />}
          {rows.map(drawRow)}
          {seen.length > 0 && <p className="seen-by">{t("seen", { names })}</p>}
          {waiting.map((one) => (
            <NotSent key={one.id} live={talk} waiting={one} away={away} />
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
        {away && <Away onTry={() => talk.comeBack()} />}
        <WhoWrites writers={story.writers.map(nameIfOther)} me={me ?? undefined} />
        {connected?.status === "ended" ? (
          <Ended connected={connected} me={me} />
        ) : connected?.blocked ? (
          <Blocked connected={connected} me={me} />
        ) : (
          <Composer
            place={talk.id}
            onSend={send}
            onStop={replies.length > 0 ? stop : undefined}
            hint={t("message.write")}
            onEditLast={editLast}
            onWriting={(text) => talk.writing(text)}
          >
            {connected?.bot && (
              <small className="mention">{t("bot.mention", { slug: connected.bot.slug })}</small>
            )}
          </Composer>
        )}
      </footer>
      <Announcer talk={talk} nameOf={nameOfSender} />
      {about && connected !== undefined && (
        <Suspense>
          <About connected={connected} me={me} onClose={() => setAbout(false)} />
        </Suspense>
      )}
    </main>
  );

  function drawRow(row: Row) {
    switch (row.kind) {
      case "day":
        return <Day key={row.key} at={row.at} />;
      case "reply":
        return <Written key={row.key} name={connected?.bot?.name ?? t("bot")} text={row.reply.text} />;
      case "said":
        return (
          <Message
            key={row.key}
            talk={talk}
            message={row.message}
            unanswered={story.whys.get(row.key)?.kind}
            begins={row.begins}
            own={me !== null && row.message.sender?.username === me}
            name={nameOfSender(row.message)}
            editing={row.key === editing}
            canChange={connected?.status === "active" && !connected.blocked}
            onEdit={edit}
          />
        );
    }
  }

  function nameOfSender({ role, sender }: Said): string {
    if (role === "assistant") return connected?.bot?.name ?? t("bot");
    return sender === null || sender.username === "" ? t("somebody") : name(sender.username);
  }

  /** One's own stays as it is: it is another device's. */
  function nameIfOther(writer: string): string {
    return writer === me ? writer : name(writer);
  }
}

function There({ connected, me }: { connected: Connected; me: string | null }) {
  const t = useWordsOfPeople();
  const [other] = others(connected, me);
  if (connected.kind === "group") return <small>{t("members", { n: connected.members.length })}</small>;
  return other === undefined ? null : <Presence person={other} />;
}

function Day({ at }: { at: string }) {
  const language = useLanguage();
  const day = new Date(at);
  const year = day.getFullYear() === new Date().getFullYear() ? {} : ({ year: "numeric" } as const);
  const words = new Intl.DateTimeFormat(language, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...year,
  });
  return (
    <p className="day-line">
      <time dateTime={at}>{words.format(day)}</time>
    </p>
  );
}

function Ended({ connected, me }: { connected: Connected; me: string | null }) {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const [other] = others(connected, me);
  const again = (other: Member) =>
    begin([other.id], "").then((begun) => {
      moveDraft(connected.id, begun.id);
      take(queries, begun);
      go(`/people/${begun.id}`);
    }, sayRefused);
  return (
    <p className="notice">
      {t("ended")}{" "}
      {connected.kind === "pair" && other !== undefined && (
        <button type="button" className="link" onClick={() => void again(other)}>
          {t("again")}
        </button>
      )}
    </p>
  );
}

function Blocked({ connected, me }: { connected: Connected; me: string | null }) {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [other] = others(connected, me);
  if (other === undefined) return null;
  const free = () =>
    unblock(other.id).then(() => {
      take(queries, { ...connected, blocked: false });
      requestAnimationFrame(backToComposer);
    }, sayRefused);
  return (
    <p className="notice">
      {t("blocked", { name: nameOf(other) })}{" "}
      <button type="button" className="link" onClick={free}>
        {t("unblock")}
      </button>
    </p>
  );
}

/** Read out: what others say as they have said it, and a bot's answer once it is whole. */
function Announcer({ talk, nameOf }: { talk: Talk; nameOf: (message: Said) => string }) {
  const said = useWatched(talk.finished);
  return (
    <div className="visually-hidden" aria-live="polite" data-announcer>
      {said !== null && said.content !== "" && (
        // The same words once more are something new.
        <p key={said.id}>{`${nameOf(said)}: ${said.content}`}</p>
      )}
    </div>
  );
}
