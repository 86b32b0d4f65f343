import type { Branches } from "../api/schema.ts";

/**
 * By the id of each message that is not alone, of each message that is followed by several, and of each prompt whose reply
 * was stopped before its first word: that reply.
 */
export interface Places {
  beside: ReadonlyMap<string, readonly string[]>;
  after: ReadonlyMap<string, readonly string[]>;
  stopped: ReadonlyMap<string, string>;
  /** The server was asked. */
  known: boolean;
}

export const UNKNOWN: Places = { beside: new Map(), after: new Map(), stopped: new Map(), known: false };
export const NOWHERE: Places = { ...UNKNOWN, known: true };

export function toPlaces({ branches, silent_replies }: Branches): Places {
  const beside = new Map<string, readonly string[]>();
  const after = new Map<string, readonly string[]>();
  for (const { siblings, parent_id } of branches) {
    for (const id of siblings) beside.set(id, siblings);
    if (parent_id !== null) after.set(parent_id, siblings);
  }
  const stopped = silent_replies
    .filter(({ status }) => status === "stopped")
    .map(({ prompt_id, message_id }): [string, string] => [prompt_id, message_id]);
  return { beside, after, stopped: new Map(stopped), known: true };
}
