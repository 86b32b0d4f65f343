/** What a collection is called among those that are offered with it. */

import type { CollectionShown } from "../api/schema.ts";
import type { Say } from "./words.ts";

/** Where another one is named alike, whose it is tells them apart. */
export function nameAmong(t: Say, one: CollectionShown, among: readonly CollectionShown[]): string {
  const name = one.name.toLowerCase();
  const isAlike = among.some((other) => other !== one && other.name.toLowerCase() === name);
  return isAlike ? t("collection.named", { name: one.name, owner: one.owner }) : one.name;
}
