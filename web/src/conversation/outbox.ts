/** What was said here and not heard of yet: kept over reloads, and sent again with the same id until it is. */

import { keep, kept } from "../parts/kept.ts";

export interface Waiting {
  /** The client's own id: however often it is sent, it is one message. */
  id: string;
  text: string;
  /** The message that it is to replace. */
  edits?: string;
  /** Why it was refused; it waits for the person's decision. */
  problem?: string;
  /** When it is worth while to try again, where the server tells. */
  again?: number;
}

export function waitingIn(conversation: string): readonly Waiting[] {
  return kept<readonly Waiting[]>(key(conversation), []);
}

export function keepWaiting(conversation: string, waiting: readonly Waiting[]): void {
  keep(key(conversation), waiting.length === 0 ? null : waiting);
}

export function newWaiting(text: string, edits?: string): Waiting {
  const waiting = { id: crypto.randomUUID?.() ?? insecureId(), text };
  return edits === undefined ? waiting : { ...waiting, edits };
}

/** Pages fetched by plain http from another machine have no `randomUUID`. */
function insecureId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

function key(conversation: string): string {
  return `outbox.${conversation}`;
}
