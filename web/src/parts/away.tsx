/** A word where there is no way to the server. */

import { useEffect, useState } from "react";
import type { LineState } from "../api/line.ts";
import { useWords } from "../words/index.ts";

/** Being away is worth a word only when it lasts. */
export function useAway(line: LineState): boolean {
  const [away, setAway] = useState(false);
  useEffect(() => {
    if (line === "open") return setAway(false);
    const timer = setTimeout(() => setAway(true), navigator.onLine ? 1500 : 0);
    return () => clearTimeout(timer);
  }, [line]);
  return away;
}

export function Away({ onTry }: { onTry: () => void }) {
  const t = useWords();
  return (
    <p className="notice away" role="status">
      <span className="dot" />
      {t(navigator.onLine ? "away" : "offline")}
      <button type="button" className="link" onClick={onTry}>
        {t("away.now")}
      </button>
    </p>
  );
}
