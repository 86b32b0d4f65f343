import { memo, type ReactNode, useEffect, useState } from "react";
import type { MessageShown } from "../api/schema.ts";
import { Text } from "../markdown/text.tsx";
import { CopyButton } from "../parts/copy.tsx";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { streaming } from "../people/tastes.ts";
import { language, useWords } from "../words/index.ts";
import { Branches } from "./branches.tsx";
import { LONGEST } from "./composer.tsx";
import type { Live } from "./live.ts";
import type { Waiting } from "./outbox.ts";
import { Thinking } from "./thinking.tsx";

export function System({ message }: { message: MessageShown }) {
  const t = useWords();
  return (
    <details className="system">
      <summary>{t("system")}</summary>
      <p className="plain">{message.content}</p>
    </details>
  );
}

interface PromptProps {
  live: Live;
  message: MessageShown;
  queued: boolean;
  editing: boolean;
  /** Whether to ask for other wordings without being asked to. */
  curious: boolean;
  onEdit: (id: string | null) => void;
}

export const Prompt = memo(function Prompt({ live, message, queued, editing, curious, onEdit }: PromptProps) {
  const t = useWords();
  const [near, setNear] = useState(false);
  if (editing) {
    const done = () => {
      onEdit(null);
      backToComposer();
    };
    const send = (text: string) => {
      done();
      if (text !== message.content) live.send(text, message.id);
    };
    return <EditForm text={message.content} onSend={send} onCancel={done} />;
  }
  return (
    <Said who={t("you")} className="prompt" onNear={setNear}>
      <div className="bubble plain">{message.content}</div>
      {queued ? (
        <p className="waits">
          <span className="dot" />
          {t("queued")}
        </p>
      ) : (
        <Foot>
          <Branches conversation={live.id} message={message.id} wanted={curious || near} />
          <CopyButton text={message.content} label={t("copy")} />
          <Act icon="edit" label={t("edit")} onClick={() => onEdit(message.id)} />
          <Time at={message.created_at} />
        </Foot>
      )}
    </Said>
  );
});

interface ReplyProps {
  live: Live;
  id: string;
  text: string;
  message: MessageShown | null;
  prompt: MessageShown | null;
  curious: boolean;
}

export const ReplyShown = memo(function ReplyShown({ live, id, text, message, prompt, curious }: ReplyProps) {
  const t = useWords();
  const [near, setNear] = useState(false);
  const streams = useWatched(streaming);
  const isWritten = message === null;
  const again = () => {
    const done =
      message?.status === "interrupted" && prompt !== null
        ? live.askAgain(prompt, message)
        : live.command({ type: "regenerate", message_id: id });
    if (!done) return say(t("offline.try"));
    backToComposer();
  };
  return (
    <Said
      who={message?.metadata.model ?? t("bot")}
      className={isWritten ? "reply growing" : "reply"}
      onNear={setNear}
    >
      {isWritten && (text === "" || !streams) ? (
        <Thinking whole={!streams && text !== ""} />
      ) : (
        <Text text={text} grows={isWritten} />
      )}
      {message?.status === "interrupted" && (
        <Trouble words={t("interrupted")} action={t("retry")} onAction={again} />
      )}
      {message?.status === "stopped" && <p className="quiet ended">{t("stopped")}</p>}
      {message !== null && (
        <Foot>
          <Branches conversation={live.id} message={id} wanted={curious || near} />
          <CopyButton text={text} label={t("copy")} />
          <Act icon="retry" label={t("regenerate")} onClick={again} />
          {message.metadata.model && <span className="model">{message.metadata.model}</span>}
          <Time at={message.created_at} />
        </Foot>
      )}
    </Said>
  );
});

/** A message and the reply to it are told one after the other: in between nothing is missing yet. */
const A_MOMENT = 700;

export function Missing({ live, prompt }: { live: Live; prompt: MessageShown }) {
  const t = useWords();
  const [sure, setSure] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSure(true), A_MOMENT);
    return () => clearTimeout(timer);
  }, []);
  const again = () => {
    if (!live.askAgain(prompt, null)) return say(t("offline.try"));
    backToComposer();
  };
  if (!sure) return null;
  return <Trouble words={t("failed")} action={t("retry")} onAction={again} />;
}

export function NotSent({ live, waiting, away }: { live: Live; waiting: Waiting; away: boolean }) {
  const t = useWords();
  const takeBack = () => {
    live.takeBack(waiting);
    backToComposer();
  };
  return (
    <Said who={t("you")} className="prompt pending">
      <div className="bubble plain">{waiting.text}</div>
      {waiting.problem === undefined ? (
        <p className="waits">
          <span className="dot" />
          {t(away ? "sent.later" : "sending")}
          {away && (
            <button type="button" className="link" onClick={takeBack}>
              {t("take_back")}
            </button>
          )}
        </p>
      ) : (
        <p className="waits problem" role="alert">
          {waiting.problem}
          <button type="button" className="link" onClick={() => live.sendAgain(waiting)}>
            {t("retry")}
          </button>
          <button type="button" className="link" onClick={takeBack}>
            {t("take_back")}
          </button>
        </p>
      )}
    </Said>
  );
}

interface SaidProps {
  who: string;
  className: string;
  onNear?: (near: boolean) => void;
  children: ReactNode;
}

function Said({ who, className, onNear, children }: SaidProps) {
  return (
    <article
      className={`said ${className}`}
      aria-label={who}
      onPointerEnter={() => onNear?.(true)}
      onFocus={() => onNear?.(true)}
    >
      {children}
    </article>
  );
}

function Foot({ children }: { children: ReactNode }) {
  return <div className="foot">{children}</div>;
}

interface ActProps {
  icon: "edit" | "retry";
  label: string;
  onClick: () => void;
}

function Act({ icon, label, onClick }: ActProps) {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

function Trouble({ words, action, onAction }: { words: string; action: string; onAction: () => void }) {
  return (
    <p className="trouble" role="alert">
      <Icon name="warn" />
      <span>{words}</span>
      <button type="button" className="button small" onClick={onAction}>
        {action}
      </button>
    </p>
  );
}

function Time({ at }: { at: string }) {
  const time = new Date(at);
  const shown = new Intl.DateTimeFormat(language(), { hour: "numeric", minute: "2-digit" }).format(time);
  return (
    <time dateTime={at} title={time.toLocaleString(language())}>
      {shown}
    </time>
  );
}

interface EditFormProps {
  text: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}

function EditForm({ text, onSend, onCancel }: EditFormProps) {
  const t = useWords();
  const [edited, setEdited] = useState(text);
  const length = [...edited.trim()].length;
  const send = () => length > 0 && length <= LONGEST && onSend(edited.trim());
  return (
    <form
      className="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        value={edited}
        aria-label={t("edit.field")}
        // biome-ignore lint/a11y/noAutofocus: who chose to edit goes on by writing.
        autoFocus
        onChange={(event) => setEdited(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      <div>
        <button type="button" className="button ghost" onClick={onCancel}>
          {t("cancel")}
        </button>
        <button type="submit" className="button primary" disabled={length === 0 || length > LONGEST}>
          {t("send")}
        </button>
      </div>
    </form>
  );
}
