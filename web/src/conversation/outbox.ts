/** What was said here and not heard of yet: kept over reloads, and sent again with the same id until it is. */

import { keep, kept, keptNames } from "../parts/kept.ts";

export interface Waiting {
  /** The client's own id: however often it is sent, it is one message. */
  id: string;
  text: string;
  /** When it was said, by this device's clock. */
  said: number;
  /** The message that it is to replace. */
  edits?: string;
  /** Why it was refused; it waits for the person's decision. */
  problem?: string;
  /** When it is worth while to try again, where the server tells. */
  again?: number;
}

export function waitingIn(conversation: string): readonly Waiting[] {
  return keptNames(under(conversation))
    .map((name) => kept<Waiting | null>(name, null))
    .filter((waiting) => waiting !== null)
    .sort((one, other) => one.said - other.said);
}

/** What has changed alone, each by itself: other tabs have something waiting here, too. */
export function keepWaiting(
  conversation: string,
  before: readonly Waiting[],
  waiting: readonly Waiting[],
): void {
  const left = new Set(waiting.map(({ id }) => id));
  for (const { id } of before) if (!left.has(id)) keep(under(conversation) + id, null);
  for (const one of waiting) if (!before.includes(one)) keep(under(conversation) + one.id, one);
}

export function newWaiting(text: string, edits?: string): Waiting {
  const waiting = { id: crypto.randomUUID?.() ?? insecureId(), text, said: Date.now() };
  return edits === undefined ? waiting : { ...waiting, edits };
}

/** Pages fetched by plain http from another machine have no `randomUUID`. */
function insecureId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

function under(conversation: string): string {
  return `outbox.${conversation}.`;
}
