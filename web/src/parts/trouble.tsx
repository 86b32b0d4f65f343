/** Why something that was asked for is not here; nothing while it comes. */

import type { UseQueryResult } from "@tanstack/react-query";
import { Refused } from "../api/http.ts";
import { useMoreWords } from "../words/more.ts";

/** Without a network nothing is asked for, so that nothing fails, either: it is paused. */
export function Trouble({ query }: { query: Pick<UseQueryResult, "error" | "isPaused"> }) {
  const t = useMoreWords();
  const { error, isPaused } = query;
  if (error === null && !isPaused) return null;
  return (
    <p className="notice warn">{error instanceof Refused ? refusedWords(error, t) : t("offline.try")}</p>
  );
}

/** A server that has stumbled has no words of its own for people. */
function refusedWords({ status, message }: Refused, t: ReturnType<typeof useMoreWords>): string {
  return status === 500 || message === "" ? t("server.trouble") : message;
}
