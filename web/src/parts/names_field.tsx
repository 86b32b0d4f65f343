/** A field for the user names of some people, one after the other. */

import { type ReactNode, type Ref, useRef } from "react";
import { useMoreWords } from "../words/more.ts";
import { Icon } from "./icon.tsx";
import { Problem } from "./speaking.tsx";

interface NamesFieldProps {
  label: string;
  names: readonly string[];
  /** What is in the field, and not among the names yet. */
  writing: string;
  problem: string | undefined;
  onChange: (names: readonly string[], writing: string) => void;
  /** What it is to take one of them off again. */
  removeLabel: (name: string) => string;
  children?: ReactNode;
  ref?: Ref<HTMLInputElement>;
}

export function NamesField(props: NamesFieldProps) {
  const { label, names, writing, problem, onChange, removeLabel, children, ref } = props;
  const t = useMoreWords();
  const row = useRef<HTMLDivElement>(null);
  const add = () => {
    onChange(withName(names, writing), "");
    row.current?.querySelector("input")?.focus();
  };
  return (
    <div className="field">
      <label htmlFor="share-with">{label}</label>
      <div className="adding" ref={row}>
        <input
          ref={ref}
          id="share-with"
          value={writing}
          aria-invalid={problem !== undefined}
          maxLength={254}
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          placeholder={t("sharing.name")}
          onChange={(event) => onChange(names, event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || writing.trim() === "") return;
            event.preventDefault();
            add();
          }}
        />
        <button type="button" className="button" disabled={writing.trim() === ""} onClick={add}>
          {t("add")}
        </button>
      </div>
      <Problem words={problem} />
      {/* That the sheet knows of them as of every other field. */}
      <input type="hidden" value={names.join("\n")} />
      {names.length > 0 && (
        <ul className="chips" aria-label={label}>
          {names.map((shared) => (
            <li key={shared}>
              {shared}
              <button
                type="button"
                aria-label={removeLabel(shared)}
                title={removeLabel(shared)}
                onClick={() =>
                  onChange(
                    names.filter((one) => one !== shared),
                    writing,
                  )
                }
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {children}
    </div>
  );
}

/** Names are compared without case. */
export function withName(names: readonly string[], written: string): readonly string[] {
  const name = written.trim();
  const isThere = names.some((one) => one.toLowerCase() === name.toLowerCase());
  return name === "" || isThere ? names : [...names, name];
}
