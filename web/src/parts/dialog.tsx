/** A sheet above the page: the browser's own dialog, which keeps the focus and gives it back. */

import { createContext, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";
import { useMoreWords } from "../words/more.ts";
import { Icon } from "./icon.tsx";
import { sheets } from "./toasts.ts";
import { WrittenIn } from "./written.ts";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** At the side, as tall as the page. */
  side?: boolean;
}

/** To be called where something is saved and the sheet stays open. */
export const Saved = createContext<() => void>(() => undefined);

/** What was written in a form of it is thrown away only by who says so. */
export function Dialog({ title, onClose, children, side = false }: DialogProps) {
  const t = useMoreWords();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [written] = useState(() => new WrittenIn());
  const [isAsked, setAsked] = useState(false);
  // Closed before it leaves the page: the browser gives the focus back from where it is.
  useLayoutEffect(() => {
    const shown = dialog.current;
    if (shown === null) return;
    shown.showModal();
    sheets.set([...sheets.value, shown]);
    return () => {
      sheets.set(sheets.value.filter((sheet) => sheet !== shown));
      shown.close();
    };
  }, []);
  const look = () => {
    if (dialog.current !== null) written.look(dialog.current);
  };
  const leave = () => {
    if (written.isChanged()) setAsked(true);
    else onClose();
  };
  return (
    <>
      <dialog
        ref={dialog}
        className={side ? "dialog side" : "dialog"}
        aria-labelledby={id}
        onFocus={look}
        onPointerDownCapture={look}
        onKeyDownCapture={look}
        onKeyDown={(event) => {
          // Left to the browser, it would close the sheet below the topmost one, too.
          if (event.key !== "Escape" || event.defaultPrevented) return;
          event.preventDefault();
          leave();
        }}
        onCancel={(event) => {
          if (event.target !== dialog.current) return;
          event.preventDefault();
          leave();
        }}
        onClose={(event) => {
          // Some browsers close it when told so twice, whatever the page says.
          if (dialog.current === null || event.target !== dialog.current || dialog.current.open) return;
          dialog.current.showModal();
          leave();
        }}
        onClick={(event) => {
          if (event.target === dialog.current && !written.isChanged()) onClose();
        }}
      >
        <div className="dialog-inside">
          <header>
            <h2 id={id}>{title}</h2>
            <button type="button" className="icon-button" aria-label={t("close")} onClick={leave}>
              <Icon name="close" />
            </button>
          </header>
          <Saved value={() => written.forget()}>{children}</Saved>
        </div>
      </dialog>
      {isAsked && (
        <Dialog title={t("written.discard")} onClose={() => setAsked(false)}>
          <div className="actions">
            <button type="button" className="button" onClick={() => setAsked(false)}>
              {t("written.go_on")}
            </button>
            <button type="button" className="button danger" onClick={onClose}>
              {t("written.away")}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
