/** Whose a collection is, as seen by one person. */

import type { CollectionShown } from "../api/schema.ts";
import type { Whose } from "../presets/whose.ts";

export function whoseIs(collection: CollectionShown, me: string | null): Whose {
  if (collection.owner === me) return "own";
  return collection.is_public ? "public" : "shared";
}
