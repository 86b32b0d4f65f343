/** What else stands in the place of a message: other wordings, other replies. One question tells it of all of them. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { Branches as BranchesShown } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { useWatched } from "../parts/watched.ts";
import { useWords } from "../words/index.ts";
import type { Live } from "./live.ts";
import { NOWHERE, type Places, toPlaces, UNKNOWN } from "./places.ts";

export function useBranches(live: Live): Places {
  const turned = useWatched(live.turned);
  const { data, isError, refetch } = useQuery({
    queryKey: ["branches", live.id],
    queryFn: () => ask<BranchesShown>("GET", `ai-chat/api/sessions/${live.id}/branches/`),
    enabled: false,
    select: toPlaces,
  });
  useEffect(() => {
    if (turned > 0) void refetch();
  }, [turned, refetch]);
  return data ?? (isError ? NOWHERE : UNKNOWN);
}

interface BranchesProps {
  live: Live;
  ids: readonly string[] | undefined;
  /** null: none of them is in view. */
  current: string | null;
}

type Way = "before" | "after";

/** Which button leads where: there it is another message's, and has the focus again. */
let led: { to: string; by: Way } | null = null;

export function Branches({ live, ids = [], current }: BranchesProps) {
  const t = useWords();
  const at = current === null ? ids.length : ids.indexOf(current);
  const before = useRef<HTMLButtonElement>(null);
  const after = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (led === null || led.to !== current || ids.length < 2) return;
    const [same, other] = led.by === "before" ? [before, after] : [after, before];
    (same.current?.disabled ? other : same).current?.focus();
    led = null;
  }, [current, ids.length]);
  if (at < 0 || (current === null ? ids.length < 1 : ids.length < 2)) return null;
  const show = (id: string | undefined, by: Way) => {
    if (id === undefined) return;
    led = { to: id, by };
    ask("POST", `ai-chat/api/sessions/${live.id}/messages/${id}/show/`).catch(sayRefused);
  };
  return (
    <span className="branches">
      <button
        type="button"
        className="icon-button"
        ref={before}
        aria-label={t("branch.before")}
        disabled={at === 0}
        onClick={() => show(ids[at - 1], "before")}
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
            ref={after}
            aria-label={t("branch.after")}
            disabled={at === ids.length - 1}
            onClick={() => show(ids[at + 1], "after")}
          >
            <Icon name="forth" />
          </button>
        </>
      )}
    </span>
  );
}
