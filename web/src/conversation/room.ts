/** How much of what the bot can take in is filled, from what its answers tell. */

import type { MessageShown, ModelShown } from "../api/schema.ts";

export interface Filled {
  /** What it read and wrote for its newest answer. */
  read: number;
  written: number;
  /** How much there is room for; null where nobody tells. */
  room: number | null;
  /** 0..1, of the room. */
  share: number | null;
}

/** null before the first answer that tells. */
export function filled(
  messages: readonly MessageShown[],
  models: readonly ModelShown[],
  budget: number | null,
): Filled | null {
  const last = messages.findLast((message) => message.metadata.usage !== undefined);
  const usage = last?.metadata.usage;
  if (last === undefined || usage === undefined) return null;
  const { prompt_tokens: read, completion_tokens: written } = usage;
  const context = models.find((model) => model.name === last.metadata.model)?.context_length ?? null;
  const rooms = [context, budget].filter((room) => room !== null);
  const room = rooms.length === 0 ? null : Math.min(...rooms);
  return { read, written, room, share: room === null ? null : Math.min(1, (read + written) / room) };
}

export interface Spent {
  answers: number;
  read: number;
  written: number;
}

/** What the answers among these have used, all together. */
export function spent(messages: readonly MessageShown[]): Spent {
  const usages = messages.flatMap(({ metadata }) => metadata.usage ?? []);
  return {
    answers: usages.length,
    read: usages.reduce((sum, usage) => sum + usage.prompt_tokens, 0),
    written: usages.reduce((sum, usage) => sum + usage.completion_tokens, 0),
  };
}
