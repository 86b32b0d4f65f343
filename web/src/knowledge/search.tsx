/** What a bot would be given for a question, to be tried out. */

import { lazy, Suspense, useState } from "react";
import type { PassageShown } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { Trouble } from "../parts/trouble.tsx";
import { useFound } from "./queries.ts";
import { placeOf, useKnowledgeWords } from "./words.ts";

const Reading = lazy(() => import("./reading.tsx"));

export function Search({ collection }: { collection: string }) {
  const t = useKnowledgeWords();
  const [typed, setTyped] = useState("");
  const [question, setQuestion] = useState("");
  const [open, setOpen] = useState<PassageShown | null>(null);
  const found = useFound(collection, question);
  return (
    <search className="try">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setQuestion(typed.trim());
        }}
      >
        <label className="field">
          <span>{t("try")}</span>
          <div className="adding">
            <input
              type="search"
              value={typed}
              maxLength={1000}
              placeholder={t("try.what")}
              onChange={(event) => {
                setTyped(event.target.value);
                if (event.target.value === "") setQuestion("");
              }}
            />
            <button type="submit" className="button" disabled={typed.trim() === ""}>
              <Icon name="search" />
              {t("try.go")}
            </button>
          </div>
        </label>
      </form>
      <div aria-busy={found.isLoading}>
        <div role="status">
          <Trouble query={found} />
          {found.data?.length === 0 && <p className="quiet">{t("try.nothing")}</p>}
          {found.data !== undefined && found.data.length > 0 && (
            <p className="visually-hidden">{t("try.count", { n: found.data.length })}</p>
          )}
        </div>
        {found.isLoading && <div className="loading" />}
        {found.data !== undefined && found.data.length > 0 && (
          <ol className="passages" aria-label={t("try.found")}>
            {found.data.map((passage) => (
              <li key={`${passage.document_id} ${passage.number}`}>
                <button type="button" className="passage-door" onClick={() => setOpen(passage)}>
                  <strong>{passage.document_name}</strong>
                  <small>{placeOf(t, passage)}</small>
                  <span className="beginning">{passage.text}</span>
                </button>
              </li>
            ))}
          </ol>
        )}
      </div>
      {open !== null && (
        <Suspense>
          <Reading document={open.document_id} passage={open.number} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </search>
  );
}
