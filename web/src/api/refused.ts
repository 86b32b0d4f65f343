/** What to say of something that did not go through: the server's own words, where it has said any. */

import { say } from "../parts/toasts.ts";
import { t } from "../words/index.ts";
import { Refused } from "./http.ts";

export function wordsOf(error: unknown): string {
  return error instanceof Refused && error.message ? error.message : t("offline.try");
}

export function sayRefused(error: unknown): void {
  say(wordsOf(error));
}
