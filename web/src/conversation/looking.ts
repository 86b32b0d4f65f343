/** Being in a conversation for as long as somebody looks at it. */

import { useEffect } from "react";
import { lookAt } from "../list/list.ts";
import type { Open } from "./open.ts";

/** A glance elsewhere is not being away. Whoever is away is notified of what comes. */
const AWAY_AFTER = 10_000;

export function useLooking(
  open: Pick<Open<never>, "enter" | "leave" | "rest" | "comeBack">,
  id: string,
): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(timer);
      if (document.visibilityState === "visible") {
        lookAt(id);
      } else {
        timer = setTimeout(() => {
          lookAt(null);
          open.rest();
        }, AWAY_AFTER);
      }
    };
    // Whoever has just come in is on the way already: to come back as well would begin that anew.
    const turn = () => {
      look();
      if (document.visibilityState === "visible") open.comeBack();
    };
    open.enter();
    look();
    document.addEventListener("visibilitychange", turn);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", turn);
      open.leave();
      lookAt(null);
    };
  }, [open, id]);
}
