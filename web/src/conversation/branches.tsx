/** What else stands in the place of a message: other wordings, other replies. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ask } from "../api/http.ts";
import type { Siblings } from "../api/schema.ts";
import { Icon } from "../parts/icon.tsx";
import { say } from "../parts/toasts.ts";
import { useWords } from "../words/index.ts";

interface BranchesProps {
  conversation: string;
  message: string;
  /** Whether to ask what there is. */
  wanted: boolean;
}

type Way = "before" | "after";

/** Which button leads where: there it is another message's, and has the focus again. */
let led: { to: string; by: Way } | null = null;

export function Branches({ conversation, message, wanted }: BranchesProps) {
  const t = useWords();
  const path = `ai-chat/api/sessions/${conversation}/messages`;
  const { data } = useQuery({
    queryKey: ["siblings", conversation, message],
    queryFn: () => ask<Siblings>("GET", `${path}/${message}/siblings/`),
    enabled: wanted,
  });
  const ids = data?.siblings.map((one) => one.id) ?? [];
  const at = ids.indexOf(message);
  const before = useRef<HTMLButtonElement>(null);
  const after = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (led?.to !== message || ids.length < 2) return;
    const [same, other] = led.by === "before" ? [before, after] : [after, before];
    (same.current?.disabled ? other : same).current?.focus();
    led = null;
  }, [message, ids.length]);
  if (ids.length < 2 || at < 0) return null;
  const show = (id: string | undefined, by: Way) => {
    if (id === undefined) return;
    led = { to: id, by };
    ask("POST", `${path}/${id}/show/`).catch((error: Error) => say(error.message || t("offline.try")));
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
    </span>
  );
}
