/** A button with what can be done there: by mouse, touch, or arrows and Escape. */

import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Icon, type IconName } from "./icon.tsx";

export interface Item {
  label: string;
  icon?: IconName;
  danger?: boolean;
  chosen?: boolean;
  run: () => void;
}

interface MenuProps {
  label: string;
  className?: string;
  /** What is inside says itself what the button is. */
  spoken?: boolean;
  items: readonly (Item | "line")[];
  children: ReactNode;
}

const EDGE = 8;

export function Menu({ label, className = "icon-button", spoken = false, items, children }: MenuProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const shown = list.current;
    if (!open || shown === null || button.current === null) return;
    shown.showPopover();
    place(shown, button.current.getBoundingClientRect());
    shown.querySelector("button")?.focus();
  }, [open]);

  const close = () => {
    if (list.current?.matches(":popover-open")) list.current.hidePopover();
    setOpen(false);
  };
  const run = (item: Item) => {
    close();
    button.current?.focus();
    item.run();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={spoken ? undefined : label}
        title={spoken ? undefined : label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => (open ? close() : setOpen(true))}
      >
        {children}
      </button>
      {open && (
        <div
          ref={list}
          id={id}
          popover="auto"
          role="menu"
          tabIndex={-1}
          className="menu"
          aria-label={label}
          onKeyDown={moveBetween}
          onToggle={(event) => {
            if (event.newState === "closed") setOpen(false);
          }}
        >
          {items.map((item, index) =>
            item === "line" ? (
              <hr key={index} />
            ) : (
              <button
                key={item.label}
                type="button"
                {...roleOf(item)}
                className={item.danger ? "danger" : undefined}
                onClick={() => run(item)}
              >
                {item.icon && <Icon name={item.icon} />}
                <span>{item.label}</span>
                {item.chosen && <Icon name="check" />}
              </button>
            ),
          )}
        </div>
      )}
    </>
  );
}

function roleOf({ chosen }: Item) {
  return chosen === undefined ? { role: "menuitem" } : { role: "menuitemradio", "aria-checked": chosen };
}

function moveBetween(event: KeyboardEvent<HTMLDivElement>): void {
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1 + buttons.length,
    Home: 0,
    End: buttons.length - 1,
  };
  const step = steps[event.key];
  if (step === undefined) return;
  event.preventDefault();
  buttons[step % buttons.length]?.focus();
}

/** Beside its button, and within the window. */
function place(shown: HTMLElement, at: DOMRect): void {
  const size = shown.getBoundingClientRect();
  const below = at.bottom + EDGE + size.height < innerHeight;
  const left = at.left + size.width > innerWidth - EDGE ? at.right - size.width : at.left;
  shown.style.left = `${Math.max(EDGE, left)}px`;
  shown.style.top = `${below ? at.bottom + EDGE / 2 : Math.max(EDGE, at.top - size.height - EDGE / 2)}px`;
}
