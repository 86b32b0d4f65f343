/**
 * What is known of a conversation, and how each event changes it. Pure: an old story and the events since then give
 * what a fresh look would give. Where events alone cannot say how it stands, the story says that it is `lost`, and
 * whoever keeps it asks for a snapshot.
 */

import type { MessageShown, WholeSession } from "../api/schema.ts";
import type { Frame, Spoken } from "./frames.ts";

export type Settings = Omit<WholeSession, "messages">;

/** A reply while it is written. */
export interface Reply {
  id: string;
  text: string;
  /** How long the text is, in code points as the server counts. */
  position: number;
}

/** Why there is no answer, or no whole one, as it was heard here. */
export type Why =
  | { kind: "stopped"; reply: string }
  /** In the server's words. */
  | { kind: "failed"; words: string };

export interface Story<M extends Spoken = MessageShown> {
  /** As of the last snapshot; null before the first. */
  settings: Settings | null;
  /** Those of the branch in view that have ended, by number. */
  messages: readonly M[];
  /** There are older ones than these. */
  hasMore: boolean;
  /** Mostly none or one; more while a turn is told again. */
  replies: readonly Reply[];
  /** Who writes just now, by user name. Nobody tells it a second time: it is no part of what a fresh look gives. */
  writers: readonly string[];
  /** By the prompt's id. No part of what a fresh look gives either. */
  whys: ReadonlyMap<string, Why>;
  cursor: string | null;
  lost: boolean;
}

export const NOTHING: Story = {
  settings: null,
  messages: [],
  hasMore: false,
  replies: [],
  writers: [],
  whys: new Map(),
  cursor: null,
  lost: false,
};

export function tell<M extends Spoken>(story: Story<M>, frame: Frame<M>): Story<M> {
  const told = change(story, frame);
  return frame.cursor === undefined || frame.cursor === told.cursor
    ? told
    : { ...told, cursor: frame.cursor };
}

function change<M extends Spoken>(story: Story<M>, frame: Frame<M>): Story<M> {
  switch (frame.type) {
    case "snapshot": {
      const { messages, ...settings } = frame.session;
      const reply = frame.reply && {
        id: frame.reply.message_id,
        text: frame.reply.content,
        position: frame.reply.position,
      };
      return {
        ...story,
        settings,
        messages: messages.filter(isListed),
        hasMore: frame.has_more,
        replies: reply ? [reply] : [],
        lost: false,
      };
    }
    case "user_message": {
      const cut = frame.replaces === undefined ? story : withoutFrom(story, frame.replaces, "message");
      return { ...cut, messages: put(cut.messages, frame.message) };
    }
    case "user_typing":
      return story.writers.includes(frame.user)
        ? story
        : { ...story, writers: [...story.writers, frame.user] };
    case "user_typing_stop":
      return story.writers.includes(frame.user)
        ? { ...story, writers: story.writers.filter((writer) => writer !== frame.user) }
        : story;
    case "resumed":
      return story.writers.length > 0 ? { ...story, writers: [] } : story;
    case "ai_typing": {
      const cut = frame.replaces === undefined ? story : withoutFrom(story, frame.replaces, "reply");
      const begun = { id: frame.message_id, text: "", position: 0 };
      return {
        ...withWhy(cut, frame.message_id, null),
        messages: without(cut.messages, frame.message_id),
        replies: [...cut.replies.filter((reply) => reply.id !== frame.message_id), begun],
      };
    }
    case "ai_message_chunk":
      return grow(story, frame.message_id, frame.content, frame.position);
    case "ai_message_complete":
    case "ai_message_stopped": {
      const replies = story.replies.filter((reply) => reply.id !== frame.message_id);
      if (isListed(frame.message)) return { ...story, replies, messages: put(story.messages, frame.message) };
      const why: Why = { kind: "stopped", reply: frame.message_id };
      return {
        ...(frame.type === "ai_message_stopped" ? withWhy(story, frame.message_id, why) : story),
        replies,
      };
    }
    case "ai_typing_stop": {
      const replies = story.replies.filter((reply) => reply.id !== frame.message_id);
      // What was kept of a reply that broke off is not told: it may be less than what was heard.
      return { ...story, replies, lost: story.lost || frame.reason === "interrupted" };
    }
    case "error":
      if (frame.code !== "bot_unavailable" || frame.message_id === undefined) return story;
      return withWhy(story, frame.message_id, { kind: "failed", words: frame.message });
    default:
      return story;
  }
}

/** Older messages, as a page of the list gives them. */
export function addOlder<M extends Spoken>(story: Story<M>, older: readonly M[], hasMore: boolean): Story<M> {
  const known = new Set(story.messages.map((message) => message.id));
  const fresh = older.filter((message) => isListed(message) && !known.has(message.id));
  return { ...story, messages: [...fresh, ...story.messages].sort(byNumber), hasMore };
}

/** A fresh look with the older ones that were known before it, where nothing is missing between the two. */
export function withOlderOf<M extends Spoken>(before: Story<M>, fresh: Story<M>): Story<M> {
  const first = fresh.messages[0];
  if (first === undefined || !isKnown(before, first.id)) return fresh;
  const older = before.messages.filter(({ number }) => number < first.number);
  return { ...fresh, messages: [...older, ...fresh.messages], hasMore: before.hasMore };
}

/** The message that a reply under way answers; undefined where that cannot be told. */
export function promptOf<M extends Spoken>(story: Story<M>, replyId: string): M | undefined {
  const made = timeOf(replyId);
  const prompts = story.messages.filter((message) => message.role === "user");
  if (made === null) return prompts.at(-1);
  return prompts.findLast((message) => Date.parse(message.created_at) <= made);
}

/** When a UUID was made, in milliseconds: those of version 7 say so. */
function timeOf(uuid: string): number | null {
  return uuid[14] === "7" ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : null;
}

function grow<M extends Spoken>(story: Story<M>, id: string, content: string, position: number): Story<M> {
  const reply = story.replies.find((one) => one.id === id);
  const start = position - lengthOf(content);
  if (reply === undefined) return isKnown(story, id) ? story : { ...story, lost: true };
  if (start === reply.position) return withReply(story, { id, text: reply.text + content, position });
  if (start > reply.position) return { ...story, lost: true };
  if (position <= reply.position) return story;
  const text = [...reply.text].slice(0, start).join("") + content;
  return withReply(story, { id, text, position });
}

/** null: it is answered now, for all that is known. */
export function withWhy<M extends Spoken>(story: Story<M>, replyId: string, why: Why | null): Story<M> {
  const prompt = promptOf(story, replyId)?.id;
  if (prompt === undefined || (why === null && !story.whys.has(prompt))) return story;
  const whys = new Map(story.whys);
  if (why === null) whys.delete(prompt);
  else whys.set(prompt, why);
  return { ...story, whys };
}

/** A piece of a message that has ended is told again. */
function isKnown<M extends Spoken>(story: Story<M>, id: string): boolean {
  return story.messages.some((message) => message.id === id);
}

function withReply<M extends Spoken>(story: Story<M>, reply: Reply): Story<M> {
  const others = story.replies.filter((one) => one.id !== reply.id);
  return { ...story, replies: [...others, reply] };
}

/** Without that message, and without what followed it: another stands in its place. */
function withoutFrom<M extends Spoken>(story: Story<M>, id: string, said: "message" | "reply"): Story<M> {
  const replaced = story.messages.find((message) => message.id === id);
  if (replaced !== undefined) return upTo(story, replaced.number - 1);
  // A reply without text is not listed: what stays is all up to the message that it was to answer.
  const prompt = said === "reply" ? promptOf(story, id) : undefined;
  return prompt === undefined ? { ...story, lost: true } : upTo(story, prompt.number);
}

/** A reply to what stays is still written. */
function upTo<M extends Spoken>(story: Story<M>, number: number): Story<M> {
  const replies = story.replies.filter((reply) => (promptOf(story, reply.id)?.number ?? Infinity) <= number);
  return { ...story, replies, messages: story.messages.filter((message) => message.number <= number) };
}

function put<M extends Spoken>(messages: readonly M[], message: M): readonly M[] {
  const last = messages.at(-1);
  if (last === undefined || last.number < message.number) return [...messages, message];
  return [...without(messages, message.id), message].sort(byNumber);
}

function without<M extends Spoken>(messages: readonly M[], id: string): readonly M[] {
  return messages.some((message) => message.id === id)
    ? messages.filter((message) => message.id !== id)
    : messages;
}

function isListed(message: Spoken): boolean {
  return message.role !== "assistant" || message.content !== "";
}

function byNumber(one: Spoken, other: Spoken): number {
  return one.number - other.number;
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}
