/** One collection: what it is, what would be found in it, and its documents. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { ask, Refused } from "../api/http.ts";
import type { CollectionShown } from "../api/schema.ts";
import { keepDraft, NEW_COLLECTION } from "../conversation/drafts.ts";
import { Icon } from "../parts/icon.tsx";
import { type Item, Menu } from "../parts/menu.tsx";
import { SharingSheet } from "../parts/sharing.tsx";
import { Sure } from "../parts/sure.tsx";
import { showTitle } from "../parts/title.ts";
import { Trouble } from "../parts/trouble.tsx";
import { useWho } from "../people/people.ts";
import { useArrival } from "./arrival.ts";
import { CollectionForm } from "./collection_form.tsx";
import { Documents } from "./documents.tsx";
import { whoseWords } from "./knowledge.tsx";
import { COLLECTIONS, collectionPath, useCollection } from "./queries.ts";
import { Search } from "./search.tsx";
import { size } from "./sizes.ts";
import { whoseIs } from "./whose.ts";
import { useKnowledgeWords } from "./words.ts";

export function CollectionPage({ id }: { id: string }) {
  const t = useKnowledgeWords();
  const found = useCollection(id);
  const { data, error } = found;
  const title = data?.name ?? t("knowledge");
  useEffect(() => {
    showTitle(title);
  }, [title]);
  const isGone = error instanceof Refused && error.status === 404;
  return (
    <main className="gallery collection-page">
      <div className="gallery-inside">
        <Link href="/knowledge" className="back-to">
          <Icon name="back" />
          {t("knowledge")}
        </Link>
        {isGone && <Gone />}
        {!isGone && data === undefined && <Trouble query={found} />}
        {!isGone && data !== undefined && <Shown collection={data} />}
      </div>
    </main>
  );
}

function Gone() {
  const t = useKnowledgeWords();
  const heading = useArrival();
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {t("collection.gone")}
      </h1>
      <Link href="/knowledge" className="button primary">
        {t("collection.all")}
      </Link>
    </>
  );
}

type Sheet = "edit" | "share" | "delete" | null;

function Shown({ collection }: { collection: CollectionShown }) {
  const t = useKnowledgeWords();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const me = useWho().data?.username ?? null;
  const [sheet, setSheet] = useState<Sheet>(null);
  const heading = useArrival();
  const close = () => setSheet(null);
  const { id, name, description, can_edit, can_ask, document_count } = collection;
  const items: (Item | "line")[] = [
    { label: t("collection.edit"), icon: "edit", run: () => setSheet("edit") },
    { label: t("sharing"), icon: "share", run: () => setSheet("share") },
    "line",
    { label: t("delete"), icon: "trash", danger: true, run: () => setSheet("delete") },
  ];
  const begin = () => {
    keepDraft(NEW_COLLECTION, id);
    go("/");
  };
  const remove = async () => {
    await ask("DELETE", collectionPath(id));
    go("/knowledge");
    await queries.invalidateQueries({ queryKey: COLLECTIONS, exact: true });
  };
  return (
    <>
      <header>
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {name}
          </h1>
          {description && <p>{description}</p>}
          <p className="quiet">
            {t("documents.count", { n: document_count })} · {size(collection.size)} ·{" "}
            {whoseWords(t, collection, whoseIs(collection, me))}
          </p>
        </div>
        <button type="button" className="button" onClick={begin}>
          {t("collection.ask")}
        </button>
        {can_edit && (
          <Menu label={t("preset.menu", { name })} items={items}>
            <Icon name="more" />
          </Menu>
        )}
      </header>
      {document_count > 0 && can_ask && <Search collection={id} />}
      {!can_ask && <p className="notice">{t("collection.unasked")}</p>}
      <Documents collection={collection} />
      {sheet === "edit" && <CollectionForm collection={collection} onClose={close} />}
      {sheet === "share" && (
        <SharingSheet
          name={name}
          path={collectionPath(id)}
          isPublic={collection.is_public}
          open={[t("collection.share"), t("collection.share.what")]}
          what={t("collection.sharing.what")}
          changes={COLLECTIONS}
          onClose={close}
        />
      )}
      {sheet === "delete" && (
        <Sure
          title={t("preset.delete", { name })}
          what={t("collection.delete.what", { n: document_count })}
          go={t("delete")}
          run={remove}
          onClose={close}
        />
      )}
    </>
  );
}
