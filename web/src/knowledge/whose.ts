/** Whose a collection is, as seen by one person. */

import type { CollectionShown } from "../api/schema.ts";
import type { Whose } from "../presets/whose.ts";

/** Of others: what only an admin sees, and cannot ask. */
export function whoseIs(collection: CollectionShown, me: string | null): Whose | "others" {
  if (collection.owner === me) return "own";
  if (!collection.can_ask) return "others";
  return collection.is_public ? "public" : "shared";
}
