/** What a collection is called, and what it is about. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { ask } from "../api/http.ts";
import type { CollectionShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { useProblems } from "../parts/problems.ts";
import { SaveOrCancel } from "../parts/save_or_cancel.tsx";
import { changed, Problem } from "../parts/speaking.tsx";
import { COLLECTIONS, collectionPath } from "./queries.ts";
import { useKnowledgeWords } from "./words.ts";

const EMPTY = { name: "", description: "" };

interface CollectionFormProps {
  /** null makes a new one. */
  collection: CollectionShown | null;
  onClose: () => void;
}

export function CollectionForm({ collection, onClose }: CollectionFormProps) {
  const t = useKnowledgeWords();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const kept = collection === null ? EMPTY : { name: collection.name, description: collection.description };
  const [fields, setFields] = useState(kept);
  const { form, problems, check, take } = useProblems();
  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (!check()) return;
    try {
      if (collection === null) {
        const made = await ask<CollectionShown>("POST", "ai-chat/api/collections/", fields);
        onClose();
        go(`/knowledge/${made.id}`);
      } else {
        await ask("PATCH", collectionPath(collection.id), changed(kept, fields));
        onClose();
      }
      await queries.invalidateQueries({ queryKey: COLLECTIONS });
    } catch (error) {
      take(error);
    }
  };
  return (
    <Dialog title={t(collection === null ? "collection.new" : "collection.edit")} onClose={onClose}>
      <form ref={form} className="fields" noValidate onSubmit={save}>
        <label className="field">
          <span>{t("preset.name")}</span>
          <input
            name="name"
            required
            maxLength={100}
            aria-invalid={problems.name !== undefined}
            value={fields.name}
            onChange={(event) => setFields({ ...fields, name: event.target.value })}
          />
          <Problem words={problems.name} />
        </label>
        <label className="field">
          <span>{t("preset.description")}</span>
          <textarea
            name="description"
            rows={3}
            maxLength={500}
            placeholder={t("collection.description.what")}
            aria-invalid={problems.description !== undefined}
            value={fields.description}
            onChange={(event) => setFields({ ...fields, description: event.target.value })}
          />
          <Problem words={problems.description} />
        </label>
        <SaveOrCancel onCancel={onClose} />
      </form>
    </Dialog>
  );
}
