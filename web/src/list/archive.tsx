/** What was put away. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { ask } from "../api/http.ts";
import type { MySessions } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { useWatched } from "../parts/watched.ts";
import { useMoreWords } from "../words/more.ts";
import { leaving, list, MINE, moved } from "./list.ts";
import { OneConversation } from "./one.tsx";

const MOST = 200;

interface ArchiveProps {
  current: string | null;
  onChoose: () => void;
  onBack: () => void;
}

export default function Archive({ current, onChoose, onBack }: ArchiveProps) {
  const t = useMoreWords();
  const others = useWatched(list);
  const hidden = useWatched(leaving);
  const times = useWatched(moved);
  const { data, refetch, isError } = useQuery({
    queryKey: ["archive"],
    queryFn: () => ask<MySessions>("GET", `${MINE}?archived=1&limit=${MOST}`),
    staleTime: 0,
  });
  // What leaves the one list comes into the other, on whatever device that is done.
  useEffect(() => {
    void refetch();
  }, [others, times, refetch]);
  const shown = (data?.sessions ?? []).filter((session) => !hidden.has(session.id));
  return (
    <nav className="conversations" aria-label={t("archive")}>
      <button
        type="button"
        className="to-archive"
        // biome-ignore lint/a11y/noAutofocus: it stands where the button was that led here.
        autoFocus
        onClick={onBack}
      >
        <Icon name="back" />
        {t("conversations")}
      </button>
      <h2>{t("archive")}</h2>
      {isError && <p className="quiet">{t("offline.try")}</p>}
      {data !== undefined && shown.length === 0 && <p className="quiet">{t("archive.none")}</p>}
      <ul>
        {shown.map((session) => (
          <OneConversation
            key={session.id}
            session={session}
            isCurrent={session.id === current}
            unread={0}
            onChoose={onChoose}
          />
        ))}
      </ul>
    </nav>
  );
}
