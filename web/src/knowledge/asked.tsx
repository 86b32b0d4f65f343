/** Which documents a conversation asks; and that it asks none, where those that were meant cannot be seen. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { useSettings } from "../api/queries.ts";
import { FROM_DOCUMENTS } from "../conversation/start.ts";
import { Icon } from "../parts/icon.tsx";
import { useWho } from "../people/people.ts";
import { meantBy } from "./names.ts";
import { COLLECTIONS, useCollections } from "./queries.ts";
import "./sources.css";
import { useKnowledgeWords } from "./words.ts";

interface AskedProps {
  conversation: string;
  /** How many messages there are: with each, what may be asked can be another. */
  said: number;
}

export default function Asked({ conversation, said }: AskedProps) {
  const settings = useSettings("sessions", conversation).data;
  if (settings?.provider !== FROM_DOCUMENTS || settings.collection === null) return null;
  return <Named named={settings.collection} said={said} />;
}

function Named({ named, said }: { named: string; said: number }) {
  const t = useKnowledgeWords();
  const queries = useQueryClient();
  const { data: collections } = useCollections();
  const me = useWho().data?.username ?? null;
  useEffect(() => {
    void queries.invalidateQueries({ queryKey: COLLECTIONS, exact: true });
    // Each message is a reason to look again.
  }, [said, queries]);
  if (collections === undefined) return null;
  const asked = meantBy(named, collections, me);
  if (asked === undefined || !asked.can_ask)
    return (
      <p className="notice warn asked-none" role="status">
        {t("asked.missing")}
      </p>
    );
  return (
    <Link href={`/knowledge/${asked.id}`} className="asked" aria-label={t("asked", { name: asked.name })}>
      <Icon name="file" />
      <span>{asked.name}</span>
    </Link>
  );
}
