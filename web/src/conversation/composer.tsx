import {
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { backToComposer } from "../parts/focus.ts";
import { Icon } from "../parts/icon.tsx";
import { useWords } from "../words/index.ts";
import { draftOf, keepDraft } from "./drafts.ts";

export const LONGEST = 10_000;
const NEARLY = 9_000;

export interface ComposerHandle {
  write: (text: string) => void;
}

interface ComposerProps {
  /** Where drafts are kept by. */
  place: string;
  onSend: (text: string) => void;
  /** A reply runs: it can be stopped, and what is sent waits for it. */
  onStop?: (() => void) | undefined;
  /** What is to be written, where that is not for a bot alone. */
  hint?: string;
  onEditLast?: () => void;
  /** With what has been written so far. */
  onWriting?: (text: string) => void;
  children?: ReactNode;
  ref?: Ref<ComposerHandle>;
}

export function Composer({
  place,
  onSend,
  onStop,
  onEditLast,
  onWriting,
  hint,
  children,
  ref,
}: ComposerProps) {
  const t = useWords();
  const [text, setText] = useState(() => draftOf(place));
  const area = useRef<HTMLTextAreaElement>(null);
  const length = [...text.trim()].length;
  const canSend = length > 0 && length <= LONGEST;

  const write = (words: string) => {
    setText(words);
    keepDraft(place, words);
  };
  useEffect(backToComposer, []);
  useImperativeHandle(ref, () => ({ write }));

  // It is as tall as its text.
  useLayoutEffect(() => {
    const shown = area.current;
    if (shown === null || CSS.supports("field-sizing", "content")) return;
    shown.style.height = "auto";
    shown.style.height = `${shown.scrollHeight}px`;
  }, [text]);

  const send = () => {
    if (!canSend) return;
    onSend(text.trim());
    write("");
    area.current?.focus();
  };
  const press = (event: KeyboardEvent) => {
    // Enter ends what an input method composes, and on a phone it begins a line.
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && onStop !== undefined) {
      onStop();
    } else if (event.key === "ArrowUp" && text === "" && onEditLast !== undefined) {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={area}
        id="composer"
        rows={1}
        value={text}
        aria-label={t("message")}
        placeholder={hint ?? t(onStop ? "message.queue" : "message.write")}
        onChange={(event) => {
          write(event.target.value);
          onWriting?.(event.target.value);
        }}
        onKeyDown={press}
      />
      <div className="composer-foot">
        <div className="composer-left">{children}</div>
        {length > NEARLY && (
          <small className={length > LONGEST ? "count over" : "count"} role="status">
            {t("message.length", { length, longest: LONGEST })}
          </small>
        )}
        {onStop && (
          <button
            type="button"
            className="round stop"
            aria-label={t("stop")}
            title={t("stop")}
            onClick={() => {
              onStop();
              backToComposer();
            }}
          >
            <Icon name="stop" />
          </button>
        )}
        <button
          type="submit"
          className="round send"
          aria-label={t("send")}
          title={t("send")}
          disabled={!canSend}
        >
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}
