/** From which documents answers come. */

import { useId } from "react";
import type { SettingsShown } from "../api/schema.ts";
import { FROM_DOCUMENTS } from "../conversation/start.ts";
import { Problem } from "../parts/speaking.tsx";
import { useWho } from "../people/people.ts";
import { meantBy, nameAmong } from "./names.ts";
import { useCollections } from "./queries.ts";
import { useKnowledgeWords } from "./words.ts";

type Choice = Pick<SettingsShown, "provider" | "collection">;

interface CollectionFieldProps {
  value: Choice;
  problem: string | undefined;
  onChange: (choice: Choice) => void;
}

export function CollectionField({ value, problem, onChange }: CollectionFieldProps) {
  const t = useKnowledgeWords();
  const id = useId();
  const { data: collections } = useCollections();
  const me = useWho().data?.username ?? null;
  const named = value.provider === FROM_DOCUMENTS ? value.collection : null;
  const chosen = collections && meantBy(named, collections, me);
  const isUnknown = named !== null && collections !== undefined && chosen === undefined;
  // What cannot be asked is offered to nobody; where it was chosen, that is said.
  const offered = collections?.filter((one) => one.can_ask || one === chosen) ?? [];
  const isInVain = isUnknown || chosen?.can_ask === false;
  const choose = (collection: string) => {
    if (collection !== "") onChange({ provider: FROM_DOCUMENTS, collection });
    // Whichever other bot answers goes on to do so.
    else onChange({ provider: named === null ? value.provider : null, collection: null });
  };
  return (
    <div className="field">
      <label htmlFor={id}>{t("collection.field")}</label>
      <select
        id={id}
        aria-describedby={`${id}-what`}
        value={chosen?.id ?? named ?? ""}
        onChange={(event) => choose(event.target.value)}
      >
        <option value="">{t("collection.no")}</option>
        {named !== null && chosen === undefined && (
          <option value={named}>{isUnknown ? t("collection.unseen") : "…"}</option>
        )}
        {offered.map((one) => (
          <option key={one.id} value={one.id}>
            {nameAmong(t, one, offered)}
          </option>
        ))}
      </select>
      <small id={`${id}-what`} className={isInVain ? "problem" : undefined}>
        {t(isInVain ? "collection.unasked" : "collection.field.what")}
      </small>
      <Problem words={problem} />
    </div>
  );
}
