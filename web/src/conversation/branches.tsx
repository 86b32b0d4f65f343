/** What else stands in the place of a message: other wordings, other replies. One question tells it of all of them. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { ask } from "../api/http.ts";
import type { Branches as BranchesShown } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { useWords } from "../words/index.ts";
import type { Live } from "./live.ts";
import { NOWHERE, type Places, toPlaces } from "./places.ts";

export function useBranches(live: Live): Places {
  const turned = useWatched(live.turned);
  const { data, refetch } = useQuery({
    queryKey: ["branches", live.id],
    queryFn: () => ask<BranchesShown>("GET", `ai-chat/api/sessions/${live.id}/branches/`),
    enabled: false,
    select: toPlaces,
  });
  useEffect(() => {
    if (turned > 0) void refetch();
  }, [turned, refetch]);
  return data ?? NOWHERE;
}

interface BranchesProps {
  live: Live;
  ids: readonly string[] | undefined;
  /** null: none of them is in view. */
  current: string | null;
}

export function Branches({ live, ids = [], current }: BranchesProps) {
  const t = useWords();
  const at = current === null ? ids.length : ids.indexOf(current);
  if (at < 0 || (current === null ? ids.length < 1 : ids.length < 2)) return null;
  const show = (id: string | undefined) =>
    id !== undefined &&
    ask("POST", `ai-chat/api/sessions/${live.id}/messages/${id}/show/`).catch((error: Error) =>
      say(error.message || t("offline.try")),
    );
  return (
    <span className="branches">
      <button
        type="button"
        className="icon-button"
        aria-label={t("branch.before")}
        disabled={at === 0}
        onClick={() => show(ids[at - 1])}
      >
        <Icon name="back" />
      </button>
      {current !== null && (
        <>
          <span>
            {at + 1}/{ids.length}
          </span>
          <button
            type="button"
            className="icon-button"
            aria-label={t("branch.after")}
            disabled={at === ids.length - 1}
            onClick={() => show(ids[at + 1])}
          >
            <Icon name="forth" />
          </button>
        </>
      )}
    </span>
  );
}
