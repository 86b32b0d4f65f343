/** What stands where in a conversation: each message, and under it the reply that is there, is written, waits, or is missing. */

import type { MessageShown } from "../api/schema.ts";
import { promptOf, type Reply, type Story, type Why } from "./story.ts";

export type Row =
  | { kind: "system"; key: string; message: MessageShown }
  | { kind: "prompt"; key: string; message: MessageShown; queued: boolean }
  | {
      kind: "reply";
      key: string;
      text: string;
      /** null while it is written. */
      message: MessageShown | null;
      prompt: MessageShown | null;
    }
  | {
      kind: "missing";
      key: string;
      prompt: MessageShown;
      /** null where that was not heard here. */
      why: Why | null;
    };

export function rowsOf(story: Story): Row[] {
  const { messages, replies } = story;
  const answered = new Set(
    messages.filter((message) => message.role !== "user").map((message) => message.parent_id),
  );
  const writing = placed(story);
  const first = Math.min(...[...writing.keys()].map((prompt) => prompt.number));
  const rows: Row[] = [];
  for (const message of messages) {
    if (message.role === "system") {
      rows.push({ kind: "system", key: message.id, message });
    } else if (message.role === "user") {
      const isOpen = !answered.has(message.id) && !writing.has(message);
      const why = story.whys.get(message.id) ?? null;
      const queued = isOpen && why === null && replies.length > 0 && message.number > first;
      rows.push({ kind: "prompt", key: message.id, message, queued });
      for (const reply of writing.get(message) ?? []) {
        rows.push({ kind: "reply", key: reply.id, text: reply.text, message: null, prompt: message });
      }
      if (isOpen && !queued) {
        rows.push({ kind: "missing", key: `missing ${message.id}`, prompt: message, why });
      }
    } else {
      const prompt = messages.find((one) => one.id === message.parent_id) ?? null;
      rows.push({ kind: "reply", key: message.id, text: message.content, message, prompt });
    }
  }
  return rows;
}

function placed(story: Story): Map<MessageShown, Reply[]> {
  const found = new Map<MessageShown, Reply[]>();
  for (const reply of story.replies) {
    const prompt = promptOf(story, reply.id) ?? story.messages.findLast((message) => message.role === "user");
    if (prompt !== undefined) found.set(prompt, [...(found.get(prompt) ?? []), reply]);
  }
  return found;
}
