/** All collections of documents that somebody may ask: their own, those shared with them, and everybody's. */

import { useEffect, useState } from "react";
import { Link } from "wouter";
import type { CollectionShown } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { Segments } from "../parts/segments.tsx";
import { Trouble } from "../parts/trouble.tsx";
import { useWho } from "../people/people.ts";
import { ALL_WHOSE, type Whose } from "../presets/whose.ts";
import { useArrival } from "./arrival.ts";
import { CollectionPage } from "./collection.tsx";
import { CollectionForm } from "./collection_form.tsx";
import "./knowledge.css";
import { showTitle } from "../parts/title.ts";
import { useCollections } from "./queries.ts";
import { size } from "./sizes.ts";
import { whoseIs } from "./whose.ts";
import { useKnowledgeWords } from "./words.ts";

export default function Knowledge({ collection }: { collection: string | undefined }) {
  return collection === undefined ? <AllCollections /> : <CollectionPage key={collection} id={collection} />;
}

function AllCollections() {
  const t = useKnowledgeWords();
  const collections = useCollections();
  const who = useWho().data;
  const me = who?.username ?? null;
  const [making, setMaking] = useState(false);
  const [filter, setFilter] = useState<Whose | "all">("all");
  const heading = useArrival();
  useEffect(() => {
    showTitle(t("knowledge"));
  }, [t]);
  const found = (collections.data ?? []).filter((one) => filter === "all" || whoseIs(one, me) === filter);
  return (
    <main className="gallery">
      <div className="gallery-inside">
        <header>
          <div>
            <h1 ref={heading} tabIndex={-1}>
              {t("knowledge")}
            </h1>
            <p className="quiet">{t("knowledge.what")}</p>
          </div>
          {who?.isGuest === false && (
            <button type="button" className="button primary" onClick={() => setMaking(true)}>
              <Icon name="new" />
              {t("collection.new")}
            </button>
          )}
        </header>
        <Segments
          label={t("collections.filter")}
          chosen={filter}
          options={(["all", ...ALL_WHOSE] as const).map((one) => [one, t(`filter.${one}`)])}
          onChoose={setFilter}
        />
        <Trouble query={collections} />
        {collections.isSuccess && found.length === 0 && (
          <p className="quiet">{t(filter === "shared" ? "collections.none_shared" : "collections.none")}</p>
        )}
        <ul className="cards">
          {found.map((collection) => (
            <Card key={collection.id} collection={collection} whose={whoseIs(collection, me)} />
          ))}
        </ul>
      </div>
      {making && <CollectionForm collection={null} onClose={() => setMaking(false)} />}
    </main>
  );
}

function Card({ collection, whose }: { collection: CollectionShown; whose: Whose | "others" }) {
  const t = useKnowledgeWords();
  const { id, name, description, document_count } = collection;
  return (
    <li className="card collection">
      <h2>
        <Link href={`/knowledge/${id}`}>{name}</Link>
      </h2>
      <p>{description}</p>
      <small>
        {t("documents.count", { n: document_count })} · {size(collection.size)} ·{" "}
        {whoseWords(t, collection, whose)}
      </small>
    </li>
  );
}

export function whoseWords(
  t: ReturnType<typeof useKnowledgeWords>,
  { is_public, owner }: CollectionShown,
  whose: Whose | "others",
): string {
  if (whose === "others") return t("collection.by", { name: owner });
  if (whose === "own") return t(is_public ? "preset.public" : "preset.own");
  return t(whose === "shared" ? "preset.shared_by" : "preset.by", { name: owner });
}
