/** The person's conversations as the server tells them, whatever device or API has changed them. */

import { ask, Refused } from "../api/http.ts";
import { Line, type LineState } from "../api/line.ts";
import type { MarkedSession, MySessions } from "../api/schema.ts";
import { forgetNotices } from "../offline/keep_page.ts";
import { say } from "../parts/toasts.ts";
import { Watched } from "../parts/watched.ts";
import { t } from "../words/index.ts";

export interface Notification {
  type: "notification";
  session_id: string;
  message_id: string;
  created_at: string;
  unread_count: number;
  /** Among people: what one of them says, and that one has read on; else a bot's. */
  kind: "message" | "read" | "reply";
  sender?: { id: string; username: string } | null;
  preview?: string;
}

type ListFrame =
  | { type: "chat_list_update"; sessions: MarkedSession[]; total: number }
  | Notification
  | { type: string };

export interface List {
  /** null before the first word. */
  sessions: readonly MarkedSession[] | null;
  total: number;
}

const PAGE = 100;
const MOST_SAID = 30;
export const MINE = "ai-chat/api/my_sessions/";

export const list = new Watched<List>({ sessions: null, total: 0 });
/** How many replies came while nobody looked. */
export const unread = new Watched<Readonly<Record<string, number>>>({});
/** What was told last of a conversation among people. */
export const heard = new Watched<Notification | null>(null);
export const listLine = new Watched<LineState>("connecting");
/** Counts what was put away here, or came back: one right after the other, they leave the list as it was told. */
export const moved = new Watched(0);
/** Deleted here, and not shown any more. */
export const leaving = new Watched<ReadonlySet<string>>(new Set());
/** Of these, what is not deleted there yet: that can still be undone. */
const undoable = new Set<string>();

let line: Line | null = null;
let newest: readonly MarkedSession[] = [];
let older: readonly MarkedSession[] = [];
let opened: string | null = null;

export function openList(): () => void {
  line = new Line(
    () => "ws/ai-chat/sessions/?marks=1",
    hear,
    (state) => listLine.set(state),
  );
  addEventListener("pagehide", deleteAll);
  return () => {
    removeEventListener("pagehide", deleteAll);
    line?.close();
    line = null;
    // Whoever signs in next begins anew.
    listLine.set("connecting");
    [newest, older] = [[], []];
    list.set({ sessions: null, total: 0 });
    unread.set({});
  };
}

export function comeBack(): void {
  line?.comeBack();
}

/** Which one is looked at: what comes in it is read. */
export function lookAt(id: string | null): void {
  opened = id;
  if (id !== null) void forgetNotices(id);
  if (id !== null && unread.value[id] !== undefined) {
    const { [id]: _, ...others } = unread.value;
    unread.set(others);
  }
}

export async function loadMore(): Promise<void> {
  const have = newest.length + older.length;
  const page = await ask<MySessions>("GET", `${MINE}?limit=${PAGE}&offset=${have}`);
  older = [...older, ...page.sessions];
  show(list.value.total);
}

export async function rename(id: string, title: string): Promise<void> {
  await ask("PATCH", `ai-chat/api/sessions/${id}/`, { title });
}

// Where it stands in the list: the server tells every window how it stands then

export async function pin(id: string, pinned: boolean): Promise<void> {
  await ask("PATCH", `ai-chat/api/sessions/${id}/marks/`, { pinned });
}

/** With a few seconds to take it back. */
export async function archive(session: MarkedSession, archived: boolean): Promise<void> {
  await ask("PATCH", `ai-chat/api/sessions/${session.id}/marks/`, { archived });
  moved.set(moved.value + 1);
  const undo = () => void archive(session, !archived).catch(() => say(t("offline.try")));
  const words = t(archived ? "archived" : "unarchived", { title: inShort(session.title) });
  say(words, { label: t("undo"), run: undo });
}

// Deleting: at once for the eye, and for good once it cannot be undone any more

export function deleteSession(session: MarkedSession): void {
  undoable.add(session.id);
  leaving.set(new Set([...leaving.value, session.id]));
  const undo = () => {
    undoable.delete(session.id);
    leaving.set(new Set([...leaving.value].filter((id) => id !== session.id)));
  };
  say(t("deleted", { title: inShort(session.title) }), { label: t("undo"), run: undo }, () => {
    deleteForGood(session.id).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 404) return;
      undo();
      say(t("delete.failed", { title: inShort(session.title) }));
    });
  });
}

async function deleteForGood(id: string): Promise<void> {
  undoable.delete(id);
  await ask("DELETE", `ai-chat/api/sessions/${id}/`, undefined, true);
}

/** Whoever leaves the page undoes nothing. */
function deleteAll(): void {
  for (const id of undoable) deleteForGood(id).catch(() => undefined);
}

/** So much of a title that what is said of it has room beside it. */
function inShort(title: string): string {
  const signs = [...title];
  return signs.length <= MOST_SAID ? title : `${signs.slice(0, MOST_SAID).join("").trimEnd()}…`;
}

// What is heard

function hear(heardNow: unknown): void {
  const frame = heardNow as ListFrame;
  if (frame.type === "chat_list_update" && "sessions" in frame) {
    newest = frame.sessions;
    show(frame.total);
  } else if (frame.type === "notification" && "session_id" in frame) {
    if (frame.kind !== "reply") heard.set(frame);
    else if (frame.session_id !== opened) {
      unread.set({ ...unread.value, [frame.session_id]: frame.unread_count });
    }
  }
}

function show(total: number): void {
  const known = new Set(newest.map((session) => session.id));
  // What has left the newest page and is not on a later one was deleted, or will be asked for again.
  older = newest.length < PAGE ? [] : older.filter((session) => !known.has(session.id));
  list.set({ sessions: [...newest, ...older], total });
}
