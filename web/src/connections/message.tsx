/** What somebody has said among people. */

import { lazy, memo, Suspense, useEffect, useRef, useState } from "react";
import { wordsOf } from "../api/refused.ts";
import type { PersonMessage as Said } from "../api/schema.ts";
import { EditForm, Said as Frame } from "../conversation/messages.tsx";
import type { Why } from "../conversation/story.ts";
import { Thinking } from "../conversation/thinking.tsx";
import { Text } from "../markdown/text.tsx";
import { copyText } from "../parts/copy.tsx";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { type Item, Menu } from "../parts/menu.tsx";
import { say } from "../parts/toasts.ts";
import { useLanguage } from "../words/index.ts";
import { type Piece, piecesOf } from "./links.ts";
import { Avatar } from "./presence.tsx";
import type { Talk } from "./talk.ts";
import { useWordsOfPeople } from "./words.ts";

const Sure = lazy(() => import("../parts/sure.tsx").then(({ Sure }) => ({ default: Sure })));

interface MessageProps {
  talk: Talk;
  message: Said;
  /** Why the bot that is asked in it has not answered, if it has not. */
  unanswered: Why["kind"] | undefined;
  /** Somebody else has said what stands before. */
  begins: boolean;
  own: boolean;
  name: string;
  editing: boolean;
  canChange: boolean;
  onEdit: (id: string | null) => void;
}

export const Message = memo(function Message(props: MessageProps) {
  const { talk, message, unanswered, begins, own, name, editing, canChange, onEdit } = props;
  const t = useWordsOfPeople();
  const [removing, setRemoving] = useState(false);
  const isTakenAway = useRef(false);
  // Once the sheet has given the focus back to what is gone with the message: whichever of them goes first.
  useEffect(() => {
    if (!message.removed || removing || !isTakenAway.current) return;
    isTakenAway.current = false;
    backToComposer();
  }, [message.removed, removing]);
  if (editing) return <Edit talk={talk} message={message} onDone={() => onEdit(null)} />;
  const copy = async () => say(t((await copyText(message.content)) ? "copied" : "copy.failed"));
  const items: Item[] = [
    { label: t("copy"), icon: "copy", run: () => void copy() },
    ...(own && canChange
      ? ([
          { label: t("edit"), icon: "edit", run: () => onEdit(message.id) },
          { label: t("remove"), icon: "trash", danger: true, run: () => setRemoving(true) },
        ] as const)
      : []),
  ];
  const sides = [
    own ? "prompt" : "theirs",
    begins ? "begins" : "",
    message.role === "assistant" ? "bot" : "",
  ];
  return (
    <Frame who={own ? t("you") : name} id={message.id} className={sides.filter(Boolean).join(" ")}>
      {!own && begins && <By name={name} />}
      <div className="bubble-row">
        <div className={message.removed ? "bubble removed" : "bubble"}>
          {message.removed ? (
            t("removed")
          ) : message.role === "assistant" ? (
            <Text text={message.content} grows={false} citing={null} />
          ) : (
            <span className="plain">{piecesOf(message.content).map(drawPiece)}</span>
          )}
          <When message={message} />
        </div>
        {!message.removed && (
          <Menu label={t("message.menu")} items={items}>
            <Icon name="more" />
          </Menu>
        )}
      </div>
      <BrokenOff how={unanswered ?? message.status} />
      {removing && (
        <Suspense>
          <Sure
            title={t("remove.sure")}
            what={t("remove.what")}
            go={t("remove")}
            run={async () => {
              await talk.remove(message);
              isTakenAway.current = true;
            }}
            onClose={() => setRemoving(false)}
          />
        </Suspense>
      )}
    </Frame>
  );
});

interface EditProps {
  talk: Talk;
  message: Said;
  onDone: () => void;
}

/** It stays, with its words, until the server has them. */
function Edit({ talk, message, onDone }: EditProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const isShown = useRef(true);
  useEffect(() => {
    isShown.current = true;
    return () => {
      isShown.current = false;
    };
  }, []);
  const send = async (text: string) => {
    setProblem(undefined);
    setBusy(true);
    try {
      if (text !== message.content) await talk.edit(message, text);
      // Whoever has given it up meanwhile may be editing another one.
      if (isShown.current) onDone();
    } catch (error) {
      setProblem(wordsOf(error));
      setBusy(false);
    }
  };
  return (
    <>
      <EditForm place={talk.id} message={message} busy={busy} onSend={send} onCancel={onDone} />
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function drawPiece({ at, text, isLink }: Piece) {
  if (!isLink) return text;
  return (
    <a key={at} href={text} target="_blank" rel="noopener noreferrer">
      {text}
    </a>
  );
}

/** That a bot has said nothing, or not all. */
function BrokenOff({ how }: { how: Said["status"] }) {
  const t = useWordsOfPeople();
  if (how === "stopped") return <p className="quiet ended">{t("stopped")}</p>;
  if (how !== "failed" && how !== "interrupted") return null;
  return (
    <p className="trouble" role="alert">
      <Icon name="warn" />
      <span>{t(how === "failed" ? "bot.failed" : "interrupted")}</span>
    </p>
  );
}

/** What a bot says while it says it. */
export function Written({ name, text }: { name: string; text: string }) {
  return (
    <Frame who={name} className="theirs bot begins growing">
      <By name={name} />
      <div className="bubble-row">
        <div className="bubble">
          {text === "" ? <Thinking words={0} /> : <Text text={text} grows citing={null} />}
        </div>
      </div>
    </Frame>
  );
}

function By({ name }: { name: string }) {
  return (
    <p className="by">
      <Avatar name={name} />
      {name}
    </p>
  );
}

function When({ message: { created_at, edited_at, removed } }: { message: Said }) {
  const t = useWordsOfPeople();
  const language = useLanguage();
  const time = new Date(created_at);
  const shown = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(time);
  return (
    <small className="when">
      {edited_at !== null && !removed && `${t("edited")} · `}
      <time dateTime={created_at} title={time.toLocaleString(language)}>
        {shown}
      </time>
    </small>
  );
}
