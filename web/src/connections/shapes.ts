/** What the API for people tells. */

import type { Spoken } from "../conversation/frames.ts";

export interface Person {
  id: string;
  username: string;
  full_name: string;
  /** null: they do not say. */
  present: boolean | null;
}

export interface Member extends Person {
  manages: boolean;
}

/** A message among people; `sender` is null for a bot. */
export interface Said extends Spoken {
  sender: { id: string; username: string } | null;
  edited_at: string | null;
  removed: boolean;
  client_message_id: string | null;
}

export interface Connected {
  id: string;
  kind: "pair" | "group";
  title: string;
  members: Member[];
  bot: { preset_id: number; slug: string; name: string } | null;
  status: "active" | "ended";
  /** By who asks. */
  blocked: boolean;
  muted: boolean;
  unread_count: number;
  last_message: Said | null;
  created_at: string;
  last_activity: string;
}

export interface ConnectedList {
  conversations: Connected[];
  has_more: boolean;
  unread_total: number;
}

export interface SaidPage {
  messages: Said[];
  has_more: boolean;
}
