/** Which collection a name means, and what one is called among those that are offered with it. */

import type { CollectionShown } from "../api/schema.ts";
import type { Say } from "./words.ts";

/** Where another one is named alike, whose it is tells them apart. */
export function nameAmong(t: Say, one: CollectionShown, among: readonly CollectionShown[]): string {
  const name = one.name.toLowerCase();
  const isAlike = among.some((other) => other !== one && other.name.toLowerCase() === name);
  return isAlike ? t("collection.named", { name: one.name, owner: one.owner }) : one.name;
}

/** As the server finds it: by its id, else by its name among those that can be asked, one's own before others'. */
export function meantBy(
  named: string | null,
  among: readonly CollectionShown[],
  me: string | null,
): CollectionShown | undefined {
  const alike = among.filter((one) => one.can_ask && one.name === named);
  return among.find(({ id }) => id === named) ?? alike.find(({ owner }) => owner === me) ?? alike[0];
}
