import { lazy, memo, type ReactNode, Suspense, useEffect, useRef, useState } from "react";
import type { MessageShown, SourceShown, UsageShown } from "../api/schema.ts";
import type { Citing } from "../markdown/cited.ts";
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
import { editIn, keepEdit } from "./drafts.ts";
import type { Spoken } from "./frames.ts";
import type { Live } from "./live.ts";
import type { Open } from "./open.ts";
import type { Waiting } from "./outbox.ts";
import type { Why } from "./story.ts";
import { Thinking } from "./thinking.tsx";

const Sources = lazy(() => import("../knowledge/sources.tsx"));

const NO_SOURCES: readonly SourceShown[] = [];

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
  /** Itself and other wordings of it, if there are any. */
  beside: readonly string[] | undefined;
  onTakeBack: (message: MessageShown) => void;
  onEdit: (id: string | null) => void;
}

export const Prompt = memo(function Prompt(props: PromptProps) {
  const { live, message, queued, editing, beside, onEdit, onTakeBack } = props;
  const t = useWords();
  if (editing) {
    const done = () => {
      onEdit(null);
      backToComposer();
    };
    const send = (text: string) => {
      done();
      if (text !== message.content) live.send(text, message.id);
    };
    return <EditForm place={live.id} message={message} onSend={send} onCancel={done} />;
  }
  return (
    <Said who={t("you")} id={message.id} className="prompt">
      <div className="bubble plain">{message.content}</div>
      {queued ? (
        <p className="waits">
          <span className="dot" />
          {t("queued")}
          <button type="button" className="link" onClick={() => onTakeBack(message)}>
            {t("take_back")}
          </button>
        </p>
      ) : (
        <Foot>
          <Branches live={live} ids={beside} current={message.id} />
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
  beside: readonly string[] | undefined;
  last: boolean;
}

export const ReplyShown = memo(function ReplyShown(props: ReplyProps) {
  const { live, id, text, message, prompt, beside, last } = props;
  const t = useWords();
  const streams = useWatched(streaming);
  const isWritten = message === null;
  const sources = message?.metadata.passages ?? NO_SOURCES;
  const [opened, setOpened] = useState<number | null>(null);
  const [citing, setCiting] = useState<Citing | null>(null);
  useEffect(() => {
    if (sources.length === 0) return;
    import("../markdown/citation.tsx").then(
      ({ citingOf }) => setCiting(citingOf(sources, setOpened)),
      // Without a network numbers stay as they were written.
      () => undefined,
    );
  }, [sources]);
  const again = () => {
    const done =
      message?.status === "interrupted" && prompt !== null
        ? live.askAgain(prompt, message)
        : live.command({ type: "regenerate", message_id: id });
    if (!done) return say(t("offline.try"));
    backToComposer();
  };
  // What there is of the answer stays, and the bot sees it.
  const goOn = () => {
    live.send(t("continue.words"));
    backToComposer();
  };
  return (
    <Said who={message?.metadata.model ?? t("bot")} id={id} className={isWritten ? "reply growing" : "reply"}>
      {isWritten && (text === "" || !streams) ? (
        <Thinking words={streams ? 0 : wordsIn(text)} />
      ) : (
        <Text text={text} grows={isWritten} citing={citing} />
      )}
      {sources.length > 0 && (
        <Suspense>
          <Sources
            sources={sources}
            text={text}
            open={sources.find(({ number }) => number === opened) ?? null}
            onOpen={setOpened}
            onClose={() => setOpened(null)}
          />
        </Suspense>
      )}
      {message?.status === "interrupted" && (
        <Trouble words={t("interrupted")} action={t("retry")} onAction={again}>
          {last && (
            <button type="button" className="button small" onClick={goOn}>
              {t("continue")}
            </button>
          )}
        </Trouble>
      )}
      {message?.status === "stopped" && (
        <p className="quiet ended">
          <span>{t("stopped")}</span>
          {last && (
            <button type="button" className="link" onClick={goOn}>
              {t("continue")}
            </button>
          )}
        </p>
      )}
      {message !== null && (
        <Foot>
          <Branches live={live} ids={beside} current={id} />
          <CopyButton text={text} label={t("copy")} />
          <Act icon="retry" label={t("regenerate")} onClick={again} />
          {message.metadata.model && <span className="model">{message.metadata.model}</span>}
          {message.metadata.usage && <Tokens usage={message.metadata.usage} />}
          <Time at={message.created_at} />
        </Foot>
      )}
    </Said>
  );
});

/**
 * A message and the reply to it are told one after the other: in between nothing is missing yet, and a server that has
 * much to do may stand still just there. Where it was heard why there is no answer, nothing is waited for.
 */
const A_MOMENT = 2_000;

interface MissingProps {
  live: Live;
  prompt: MessageShown;
  why: Why | null;
  /** Why is known, if anybody knows. */
  known: boolean;
  /** Other answers to it, if there are any. */
  others: readonly string[] | undefined;
}

export function Missing({ live, prompt, why, known, others }: MissingProps) {
  const t = useWords();
  const [sure, setSure] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSure(true), A_MOMENT);
    return () => clearTimeout(timer);
  }, []);
  const again = () => {
    const done =
      why?.kind === "stopped"
        ? live.command({ type: "regenerate", message_id: why.reply })
        : live.askAgain(prompt, null);
    if (!done) return say(t("offline.try"));
    backToComposer();
  };
  if (why?.kind === "stopped") {
    return (
      <p className="quiet ended">
        <span>{t("stopped")}</span>
        <button type="button" className="link" onClick={again}>
          {t("regenerate")}
        </button>
        <Branches live={live} ids={others} current={null} />
      </p>
    );
  }
  if (why === null && !(sure && known)) return null;
  const words = why === null ? t("failed") : `${t("failed")} ${why.words}`;
  return (
    <Trouble words={words} action={t("retry")} onAction={again}>
      <Branches live={live} ids={others} current={null} />
    </Trouble>
  );
}

interface NotSentProps {
  live: Pick<Open<never>, "sendAgain" | "takeBack">;
  waiting: Waiting;
  away: boolean;
}

export function NotSent({ live, waiting, away }: NotSentProps) {
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
          {waiting.again !== undefined && <Again at={waiting.again} />}
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

/** When it is tried again, counted down while that is worth looking at. */
function Again({ at }: { at: number }) {
  const t = useWords();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil((at - now) / 1000);
  if (seconds <= 0) return null;
  if (seconds <= 120) return <span aria-hidden="true">{t("again.in", { n: seconds })}</span>;
  const day: Intl.DateTimeFormatOptions = seconds > 80_000 ? { dateStyle: "medium" } : {};
  const time = new Intl.DateTimeFormat(language(), { ...day, timeStyle: "short" }).format(at);
  return <span>{t("again.at", { time })}</span>;
}

interface SaidProps {
  who: string;
  id?: string;
  className: string;
  children: ReactNode;
}

export function Said({ who, id, className, children }: SaidProps) {
  return (
    <article className={`said ${className}`} aria-label={who} data-message={id}>
      {children}
    </article>
  );
}

export function Foot({ children }: { children: ReactNode }) {
  return <div className="foot">{children}</div>;
}

interface ActProps {
  icon: "edit" | "retry" | "trash";
  label: string;
  onClick: () => void;
}

export function Act({ icon, label, onClick }: ActProps) {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

interface TroubleProps {
  words: string;
  action: string;
  onAction: () => void;
  children?: ReactNode;
}

function Trouble({ words, action, onAction, children }: TroubleProps) {
  return (
    <p className="trouble" role="alert">
      <Icon name="warn" />
      <span>{words}</span>
      <button type="button" className="button small" onClick={onAction}>
        {action}
      </button>
      {children}
    </p>
  );
}

function wordsIn(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** What the answer has cost. */
function Tokens({ usage }: { usage: UsageShown }) {
  const t = useWords();
  const number = new Intl.NumberFormat(language()).format;
  const { prompt_tokens: read, completion_tokens: written, total_tokens: whole } = usage;
  return (
    <span className="tokens" title={t("tokens.what", { read: number(read), written: number(written) })}>
      {t("tokens", { n: whole, number: number(whole) })}
    </span>
  );
}

export function Time({ at }: { at: string }) {
  const time = new Date(at);
  const shown = new Intl.DateTimeFormat(language(), { hour: "numeric", minute: "2-digit" }).format(time);
  return (
    <time dateTime={at} title={time.toLocaleString(language())}>
      {shown}
    </time>
  );
}

interface EditFormProps {
  /** The conversation, by which it is kept. */
  place: string;
  message: Spoken;
  /** It is on its way: what is written now would not go with it. */
  busy?: boolean;
  onSend: (text: string) => void;
  onCancel: () => void;
}

export function EditForm({ place, message, busy = false, onSend, onCancel }: EditFormProps) {
  const t = useWords();
  const [edited, setEdited] = useState(() => {
    const left = editIn(place);
    return left?.id === message.id ? left.text : message.content;
  });
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => area.current?.setSelectionRange(area.current.value.length, area.current.value.length), []);
  const length = [...edited.trim()].length;
  const fits = length > 0 && length <= LONGEST && !busy;
  const send = () => fits && onSend(edited.trim());
  return (
    <form
      className="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={area}
        value={edited}
        readOnly={busy}
        aria-label={t("edit.field")}
        // biome-ignore lint/a11y/noAutofocus: who chose to edit goes on by writing.
        autoFocus
        onChange={(event) => {
          setEdited(event.target.value);
          keepEdit(place, { id: message.id, text: event.target.value });
        }}
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
        <button type="submit" className="button primary" disabled={!fits}>
          {t("send")}
        </button>
      </div>
    </form>
  );
}
