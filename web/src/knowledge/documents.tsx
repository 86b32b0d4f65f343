/** The documents of a collection: those on their way to it, and those that are there. */

import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useId, useRef, useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { CollectionShown, DocumentShown } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { type Item, Menu } from "../parts/menu.tsx";
import { useRemaining } from "../parts/remaining.ts";
import { Sure } from "../parts/sure.tsx";
import { say } from "../parts/toasts.ts";
import { Trouble } from "../parts/trouble.tsx";
import { useWatched } from "../parts/watched.ts";
import { useWho } from "../people/people.ts";
import { download } from "./download.ts";
import { useDropped } from "./dropped.ts";
import { COLLECTIONS, documentPath, documentsKey, isUnderWay, useDocuments } from "./queries.ts";
import { size } from "./sizes.ts";
import { cancelUpload, type Uploading, upload, uploadAgain, uploads } from "./uploads.ts";
import { useKnowledgeWords } from "./words.ts";

const Reading = lazy(() => import("./reading.tsx"));

/** What can be read; the server says of anything else that it cannot. */
const KINDS = ".txt,.md,.html,.htm,.pdf,.docx,.xlsx,.csv,text/*";

type Sheet = { read: DocumentShown } | { remove: DocumentShown } | null;

export function Documents({ collection }: { collection: CollectionShown }) {
  const t = useKnowledgeWords();
  const { id, can_edit, largest_document } = collection;
  const documents = useDocuments(id);
  const arrived = useArrived();
  const by = useWho().data?.username ?? null;
  const coming = useWatched(uploads).filter((one) => one.collection === id && one.by === by);
  const [sheet, setSheet] = useState<Sheet>(null);
  const remaining = useRemaining<HTMLDivElement>();
  const shown = documents.data?.pages.flatMap((page) => page.documents) ?? [];
  useSeenToTheEnd(id, shown);
  const busy = coming.filter(({ state }) => state !== "refused").length + shown.filter(isUnderWay).length;
  const close = () => setSheet(null);
  const check = (file: File) =>
    file.size <= largest_document
      ? ""
      : t("upload.too_large", { size: size(file.size), most: size(largest_document) });
  return (
    <section className="documents" aria-labelledby="documents">
      <h2 id="documents">{t("documents")}</h2>
      {can_edit && (
        <Drop
          most={largest_document}
          onFiles={(files) => upload({ collection: id, by }, files, check, arrived)}
        />
      )}
      <Trouble query={documents} />
      <p className="visually-hidden" role="status">
        {(busy > 0 || shown.length > 0) && t(busy > 0 ? "documents.busy" : "documents.idle", { n: busy })}
      </p>
      <div {...remaining}>
        {coming.length > 0 && (
          <ul className="rows" aria-label={t("uploads")}>
            {coming.map((one) => (
              <Coming key={one.id} one={one} />
            ))}
          </ul>
        )}
        {documents.isSuccess && shown.length === 0 && coming.length === 0 && (
          <p className="quiet">{t("documents.none")}</p>
        )}
        {shown.length > 0 && (
          <ul className="rows" aria-label={t("documents")}>
            {shown.map((document) => (
              <Row key={document.id} document={document} mayChange={can_edit} onOpen={setSheet} />
            ))}
          </ul>
        )}
      </div>
      {documents.hasNextPage && (
        <button type="button" className="button ghost" onClick={() => documents.fetchNextPage()}>
          {t("documents.more")}
        </button>
      )}
      <Suspense>
        {sheet !== null && "read" in sheet && (
          <Reading document={sheet.read.id} passage={null} onClose={close} />
        )}
      </Suspense>
      {sheet !== null && "remove" in sheet && <Remove document={sheet.remove} onClose={close} />}
    </section>
  );
}

/** What has arrived is seen at once, and counted. */
function useArrived() {
  const t = useKnowledgeWords();
  const queries = useQueryClient();
  return (collection: string, document?: DocumentShown, isNew = true) => {
    if (document !== undefined && !isNew) say(t("upload.unchanged", { name: document.name }));
    void queries.invalidateQueries({ queryKey: documentsKey(collection) });
    void queries.invalidateQueries({ queryKey: [...COLLECTIONS, collection], exact: true });
  };
}

/** Once all are read, what is found may be other than before. */
function useSeenToTheEnd(collection: string, documents: readonly DocumentShown[]): void {
  const queries = useQueryClient();
  const busy = documents.some(isUnderWay);
  const was = useRef(busy);
  useEffect(() => {
    if (was.current && !busy) {
      void queries.invalidateQueries({ queryKey: [...COLLECTIONS, collection, "search"] });
      void queries.invalidateQueries({ queryKey: [...COLLECTIONS, collection], exact: true });
    }
    was.current = busy;
  }, [busy, collection, queries]);
}

interface DropProps {
  /** Bytes that one of them may have. */
  most: number;
  onFiles: (files: readonly File[]) => void;
}

function Drop({ most, onFiles }: DropProps) {
  const t = useKnowledgeWords();
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const isOver = useDropped((items) => {
    const files = items.filter((item) => item.webkitGetAsEntry()?.isDirectory !== true);
    if (files.length < items.length) say(t("upload.folder"));
    onFiles(files.flatMap((item) => item.getAsFile() ?? []));
  });
  return (
    <section className={isOver ? "drop over" : "drop"} aria-label={t("upload")}>
      <button
        type="button"
        className="button primary"
        aria-describedby={id}
        onClick={() => field.current?.click()}
      >
        <Icon name="upload" />
        {t("upload")}
      </button>
      <p className="quiet" id={id}>
        {t("upload.what", { most: size(most) })}
      </p>
      <input
        ref={field}
        type="file"
        hidden
        multiple
        accept={KINDS}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          // The same file can be chosen again.
          event.target.value = "";
        }}
      />
    </section>
  );
}

function Coming({ one }: { one: Uploading }) {
  const t = useKnowledgeWords();
  const arrived = useArrived();
  const { id, file, state, share, problem, isFinal } = one;
  const { name } = file;
  return (
    <li className="row">
      <Icon name="file" />
      <div className="row-words">
        <strong>{name}</strong>
        {state === "refused" ? (
          <small className="problem" role="alert">
            {problem}
          </small>
        ) : (
          <>
            <progress max={1} value={share} aria-label={t("upload.progress", { name })} />
            <small>{state === "queued" ? t("upload.queued") : size(file.size)}</small>
          </>
        )}
      </div>
      {state === "refused" && !isFinal && (
        <button type="button" className="button small" onClick={() => uploadAgain(id, arrived)}>
          {t("retry")}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={t(state === "refused" ? "upload.dismiss" : "upload.cancel", { name })}
        onClick={() => cancelUpload(id, arrived)}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}

interface RowProps {
  document: DocumentShown;
  mayChange: boolean;
  onOpen: (sheet: Sheet) => void;
}

function Row({ document, mayChange, onOpen }: RowProps) {
  const t = useKnowledgeWords();
  const { id, name, status, problem, passage_count } = document;
  const items: (Item | "line")[] = [
    { label: t("download"), icon: "down", run: () => download(id, name) },
    ...(mayChange
      ? ([
          "line",
          { label: t("delete"), icon: "trash", danger: true, run: () => onOpen({ remove: document }) },
        ] as const)
      : []),
  ];
  return (
    <li className="row">
      <Icon name="file" />
      <div className="row-words">
        {status === "ready" ? (
          <button type="button" className="link" onClick={() => onOpen({ read: document })}>
            {name}
          </button>
        ) : (
          <strong>{name}</strong>
        )}
        {status === "failed" ? (
          <small className="problem">
            {t("document.failed")} {problem}
          </small>
        ) : (
          <small>
            {size(document.size)} ·{" "}
            {status === "ready" ? t("document.ready", { n: passage_count }) : t(`document.${status}`)}
          </small>
        )}
      </div>
      {isUnderWay(document) && <span className="spinning" aria-hidden="true" />}
      <Menu label={t("preset.menu", { name })} items={items}>
        <Icon name="more" />
      </Menu>
    </li>
  );
}

function Remove({ document, onClose }: { document: DocumentShown; onClose: () => void }) {
  const t = useKnowledgeWords();
  const arrived = useArrived();
  const { id, name, collection_id } = document;
  const remove = async () => {
    try {
      await ask("DELETE", documentPath(id));
    } catch (error) {
      sayRefused(error);
    }
    arrived(collection_id);
  };
  return (
    <Sure
      title={t("preset.delete", { name })}
      what={t("document.delete.what")}
      go={t("delete")}
      run={remove}
      onClose={onClose}
    />
  );
}
