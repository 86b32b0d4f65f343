/** A document beside what is being done: at the passage that is meant, and on from there as far as somebody scrolls. */

import { Fragment, type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { Refused } from "../api/http.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Trouble } from "../parts/trouble.tsx";
import { download } from "./download.ts";
import "./knowledge.css";
import { type Part, toParts } from "./parts.ts";
import { usePassages } from "./passages.ts";
import { useDocument } from "./queries.ts";
import { toStretches } from "./stretches.ts";
import { placeOf, useKnowledgeWords } from "./words.ts";

interface ReadingProps {
  document: string;
  /** null: from its beginning, and no passage is meant. */
  passage: number | null;
  onClose: () => void;
}

export default function Reading({ document, passage, onClose }: ReadingProps) {
  const t = useKnowledgeWords();
  const found = useDocument(document);
  const { data, error } = found;
  const title = data?.name ?? t("document");
  return (
    <Dialog title={title} onClose={onClose} side>
      <div className="reading">
        {error instanceof Refused && error.status === 404 ? (
          <p className="notice">{t("document.gone")}</p>
        ) : (
          data === undefined && <Trouble query={found} />
        )}
        {data !== undefined && (
          <>
            <button type="button" className="button small" onClick={() => download(document, data.name)}>
              <Icon name="down" />
              {t("download")}
            </button>
            <Pages document={document} passage={passage} />
          </>
        )}
      </div>
    </Dialog>
  );
}

function Pages({ document, passage }: Omit<ReadingProps, "onClose">) {
  const t = useKnowledgeWords();
  const meant = passage ?? 0;
  const pages = usePassages(document, meant);
  const { data, fetchNextPage, fetchPreviousPage, hasNextPage, hasPreviousPage, isFetching } = pages;
  const list = useRef<HTMLDivElement>(null);
  const mark = useRef<HTMLElement>(null);
  const isShown = data !== undefined;
  useEffect(() => {
    if (!isShown) return;
    mark.current?.scrollIntoView({ block: "center" });
    mark.current?.focus({ preventScroll: true });
  }, [isShown]);
  const parts = toParts(data?.pages.flatMap((page) => page.passages) ?? [], meant);
  useStay(list, parts[0]?.number);
  if ((pages.isError || pages.isPaused) && !isShown) return <Trouble query={pages} />;
  if (isShown && parts.length === 0) return <p className="quiet">{t("document.no_text")}</p>;
  return (
    <div ref={list} className="parts" aria-busy={isFetching}>
      {hasPreviousPage && (
        <More
          words={t("reading.before")}
          busy={isFetching}
          failed={pages.isError}
          onMore={fetchPreviousPage}
        />
      )}
      {parts.map((part, index) =>
        part.isMeant && passage !== null ? (
          <section key={part.number} ref={mark} tabIndex={-1} aria-label={t("reading.meant")}>
            <Place part={part} before={parts[index - 1]} />
            <mark className="plain">
              <Words text={part.text} />
            </mark>
          </section>
        ) : (
          <section key={part.number}>
            <Place part={part} before={parts[index - 1]} />
            <p className="plain">
              <Words text={part.text} />
            </p>
          </section>
        ),
      )}
      {hasNextPage && (
        <More words={t("reading.after")} busy={isFetching} failed={pages.isError} onMore={fetchNextPage} />
      )}
    </div>
  );
}

/** Its lines are those of the document. */
function Words({ text }: { text: string }) {
  // What begins with spaces stands under what is below it.
  return toStretches(text.trimEnd().replace(/^\s*\n/, "")).map(({ text, isSet }, index, all) => {
    const words = index < all.length - 1 ? `${text}\n` : text;
    return isSet ? <code key={index}>{words}</code> : <Fragment key={index}>{words}</Fragment>;
  });
}

/** Said where it changes. */
function Place({ part, before }: { part: Part; before: Part | undefined }) {
  const t = useKnowledgeWords();
  const words = placeOf(t, part);
  if (words === "" || (before !== undefined && words === placeOf(t, before))) return null;
  return <p className="place">{words}</p>;
}

interface MoreProps {
  words: string;
  busy: boolean;
  /** Then it is tried again by who wants it. */
  failed: boolean;
  onMore: () => Promise<unknown>;
}

/** By the keys, or by coming near it. */
function More({ words, busy, failed, onMore }: MoreProps) {
  const button = useRef<HTMLButtonElement>(null);
  const more = useRef(onMore);
  more.current = onMore;
  useEffect(() => {
    const shown = button.current;
    if (shown === null || busy || failed) return;
    const watch = new IntersectionObserver((seen) => {
      // The last is how it is now: a browser that has much to do tells several at once.
      if (seen.at(-1)?.isIntersecting) void more.current();
    });
    watch.observe(shown);
    return () => watch.disconnect();
  }, [busy, failed]);
  return (
    <button
      ref={button}
      type="button"
      className="button ghost small"
      aria-disabled={busy}
      onClick={() => busy || void onMore()}
    >
      {words}
    </button>
  );
}

/** What is put in above leaves what is being read where it is. */
function useStay(list: RefObject<HTMLElement | null>, first: number | undefined): void {
  const before = useRef({ first, height: 0 });
  useLayoutEffect(() => {
    const shown = list.current;
    const sheet = shown?.closest("dialog");
    if (!shown || !sheet) return;
    const known = before.current;
    if (known.first !== undefined && first !== undefined && first < known.first) {
      sheet.scrollTop += sheet.scrollHeight - known.height;
    }
    before.current = { first, height: sheet.scrollHeight };
  });
}
