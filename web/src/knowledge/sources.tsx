/** What a reply was given, under it: what it cites, and the rest when it is asked for. */

import { lazy, Suspense, useLayoutEffect, useRef, useState } from "react";
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
  const list = useRef<HTMLOListElement>(null);
  const coming = useRef<number | undefined>(undefined);
  const showAll = () => {
    coming.current = sources.find((source) => !shown.includes(source))?.number;
    setAll(true);
  };
  // The button goes: who pressed it goes on at the first of those that came.
  useLayoutEffect(() => {
    if (all) list.current?.querySelector<HTMLElement>(`[data-number="${coming.current}"]`)?.focus();
  }, [all]);
  return (
    <>
      <section className="sources" aria-label={t("sources")}>
        {shown.length > 0 && (
          <ol ref={list}>
            {shown.map((source) => (
              <li key={source.number}>
                <OneSource source={source} isAlike={isAlike(t, source, sources)} onOpen={onOpen} />
              </li>
            ))}
          </ol>
        )}
        {more > 0 && (
          <button type="button" className="link" onClick={showAll}>
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

/** Then where it stands does not tell it from another passage of its document. */
function isAlike(t: ReturnType<typeof useKnowledgeWords>, one: SourceShown, among: readonly SourceShown[]) {
  const place = placeOf(t, one);
  return among.some(
    (other) => other !== one && other.document_id === one.document_id && placeOf(t, other) === place,
  );
}

interface OneSourceProps {
  source: SourceShown;
  isAlike: boolean;
  onOpen: Citing["open"];
}

function OneSource({ source, isAlike, onOpen }: OneSourceProps) {
  const t = useKnowledgeWords();
  const say = useWords();
  const { number, document_name } = source;
  if (document_name === "")
    return (
      <span className="source gone" tabIndex={-1} data-number={number}>
        {say("source.gone", { number })}
      </span>
    );
  const nth = isAlike ? t("passage", { n: source.passage + 1 }) : "";
  const place = [placeOf(t, source), nth].filter(Boolean).join(" · ");
  return (
    <button type="button" className="source" data-number={number} onClick={() => onOpen(number)}>
      <span className="source-number" aria-hidden="true">
        {number}
      </span>
      <span className="visually-hidden">{number}: </span>
      <span>{document_name}</span>
      {place !== "" && <small>{place}</small>}
    </button>
  );
}
