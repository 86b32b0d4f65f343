/** Talking with somebody for the first time, or with several as a group. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { useLocation } from "wouter";
import { Refused } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import { Dialog } from "../parts/dialog.tsx";
import { NamesField, withName } from "../parts/names_field.tsx";
import { begin, take } from "./queries.ts";
import { useWordsOfPeople } from "./words.ts";

interface BeginProps {
  onClose: () => void;
  onBegun: () => void;
}

export default function Begin({ onClose, onBegun }: BeginProps) {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const [names, setNames] = useState<readonly string[]>([]);
  const [writing, setWriting] = useState("");
  const [title, setTitle] = useState("");
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  // A name that is still in the field is meant, too.
  const meant = withName(names, writing);
  const start = async (event: FormEvent) => {
    event.preventDefault();
    if (meant.length === 0) {
      setProblem(t("wrong.missing"));
      field.current?.focus();
      return;
    }
    try {
      const begun = await begin(meant, meant.length > 1 || title.trim() !== "" ? title.trim() : "");
      take(queries, begun);
      onClose();
      onBegun();
      go(`/people/${begun.id}`);
    } catch (error) {
      if (error instanceof Refused && [403, 404, 422].includes(error.status)) {
        setProblem(error.message);
        field.current?.focus();
      } else sayRefused(error);
    }
  };
  return (
    <Dialog title={t("begin")} onClose={onClose}>
      <form className="fields" onSubmit={start}>
        <NamesField
          ref={field}
          label={t("begin.with")}
          names={names}
          writing={writing}
          problem={problem}
          removeLabel={(name) => t("begin.without", { name })}
          onChange={(those, written) => {
            setNames(those);
            setWriting(written);
            setProblem(undefined);
          }}
        >
          <small>{t("begin.what")}</small>
        </NamesField>
        <label className="field">
          <span>{t("group.title")}</span>
          <input value={title} maxLength={255} onChange={(event) => setTitle(event.target.value)} />
          <small>{t("group.title.what")}</small>
        </label>
        <div className="actions">
          <button type="button" className="button ghost" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" className="button primary">
            {t("begin.go")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
