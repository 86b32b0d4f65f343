import type { Branches } from "../api/schema.ts";

/** By the id of each message that is not alone, and of each message that is followed by several. */
export interface Places {
  beside: ReadonlyMap<string, readonly string[]>;
  after: ReadonlyMap<string, readonly string[]>;
}

export const NOWHERE: Places = { beside: new Map(), after: new Map() };

export function toPlaces({ branches }: Branches): Places {
  const beside = new Map<string, readonly string[]>();
  const after = new Map<string, readonly string[]>();
  for (const { siblings, parent_id } of branches) {
    for (const id of siblings) beside.set(id, siblings);
    if (parent_id !== null) after.set(parent_id, siblings);
  }
  return { beside, after };
}
