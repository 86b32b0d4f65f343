/** What a reply was given, under it: what it cites, and the rest when it is asked for. */

import { lazy, Suspense, useState } from "react";
import type { SourceShown } from "../api/schema.ts";
import type { Citing } from "../markdown/cited.ts";
import { useWords } from "../words/index.ts";
import { citedIn } from "./cited.ts";
import "./sources.css";
import { placeOf, useKnowledgeWords } from "./words.ts";

const Reading = lazy(() => import("./reading.tsx"));

interface SourcesProps {
  sources: readonly SourceShown[];
  /** What the reply says. */
  text: string;
  open: SourceShown | null;
  onOpen: Citing["open"];
  onClose: () => void;
}

export default function Sources({ sources, text, open, onOpen, onClose }: SourcesProps) {
  const t = useKnowledgeWords();
  const [all, setAll] = useState(false);
  const cited = citedIn(text);
  const named = sources.filter(({ number }) => cited.has(number));
  const shown = all ? sources : named;
  const more = sources.length - shown.length;
  return (
    <>
      <section className="sources" aria-label={t("sources")}>
        {shown.length > 0 && (
          <ol>
            {shown.map((source) => (
              <li key={source.number}>
                <OneSource source={source} onOpen={onOpen} />
              </li>
            ))}
          </ol>
        )}
        {more > 0 && (
          <button type="button" className="link" onClick={() => setAll(true)}>
            {t(named.length === 0 ? "sources.uncited" : "sources.more", { n: more })}
          </button>
        )}
      </section>
      {open !== null && (
        <Suspense>
          <Reading document={open.document_id} passage={open.passage} onClose={onClose} />
        </Suspense>
      )}
    </>
  );
}

function OneSource({ source, onOpen }: { source: SourceShown; onOpen: Citing["open"] }) {
  const t = useKnowledgeWords();
  const say = useWords();
  const { number, document_name } = source;
  if (document_name === "") return <span className="source gone">{say("source.gone", { number })}</span>;
  const place = placeOf(t, source);
  return (
    <button type="button" className="source" onClick={() => onOpen(number)}>
      <span className="source-number" aria-hidden="true">
        {number}
      </span>
      <span className="visually-hidden">{number}: </span>
      <span>{document_name}</span>
      {place !== "" && <small>{place}</small>}
    </button>
  );
}
