/** Which documents a conversation that begins is to ask. */

import { useEffect, useState } from "react";
import { draftOf, keepDraft, NEW_COLLECTION } from "../conversation/drafts.ts";
import { nameAmong } from "./names.ts";
import { useCollections } from "./queries.ts";
import { useKnowledgeWords } from "./words.ts";

export default function CollectionPicker() {
  const t = useKnowledgeWords();
  const { data } = useCollections();
  const collections = data?.filter((one) => one.can_ask);
  const [chosen, setChosen] = useState(() => draftOf(NEW_COLLECTION));
  const isGone = chosen !== "" && collections?.every(({ id }) => id !== chosen) === true;
  useEffect(() => {
    if (!isGone) return;
    setChosen("");
    keepDraft(NEW_COLLECTION, "");
  }, [isGone]);
  if (collections === undefined || collections.length === 0) return null;
  const choose = (id: string) => {
    setChosen(id);
    keepDraft(NEW_COLLECTION, id);
  };
  return (
    <label className="model-picker">
      <span className="visually-hidden">{t("collection.field")}</span>
      <select value={chosen} onChange={(event) => choose(event.target.value)}>
        <option value="">{t("collection.none_asked")}</option>
        {collections.map((one) => (
          <option key={one.id} value={one.id}>
            {nameAmong(t, one, collections)}
          </option>
        ))}
      </select>
    </label>
  );
}
