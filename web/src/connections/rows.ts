/** What stands where among people: days, and what was said, with its author where another one begins. */

import type { PersonMessage as Said } from "../api/schema.ts";
import type { Reply } from "../conversation/story.ts";

export type Row =
  | { kind: "day"; key: string; at: string }
  | { kind: "said"; key: string; message: Said; begins: boolean }
  | { kind: "reply"; key: string; reply: Reply };

/** After so long what the same person says begins anew. */
const PAUSE = 10 * 60_000;

export function rowsOf(messages: readonly Said[], replies: readonly Reply[]): Row[] {
  const rows: Row[] = [];
  let before: Said | null = null;
  for (const message of messages) {
    const isOtherDay = before === null || dayOf(before) !== dayOf(message);
    if (isOtherDay) rows.push({ kind: "day", key: `day ${message.id}`, at: message.created_at });
    rows.push({ kind: "said", key: message.id, message, begins: isOtherDay || begins(before, message) });
    before = message;
  }
  return [...rows, ...replies.map((reply) => ({ kind: "reply", key: reply.id, reply }) as const)];
}

function begins(before: Said | null, message: Said): boolean {
  if (before === null || before.sender?.id !== message.sender?.id || before.role !== message.role)
    return true;
  return Date.parse(message.created_at) - Date.parse(before.created_at) > PAUSE;
}

function dayOf({ created_at }: Said): string {
  return new Date(created_at).toDateString();
}

/** Who has read up to the last of one's own, by user name. */
export function seenBy(messages: readonly Said[], read: ReadonlyMap<string, number>, me: string): string[] {
  const own = messages.findLast(({ sender, removed }) => sender?.username === me && !removed);
  if (own === undefined) return [];
  return [...read].filter(([name, number]) => name !== me && number >= own.number).map(([name]) => name);
}
