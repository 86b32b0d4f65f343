/** What the API for notifications tells. */

export interface Reached {
  shows_text: boolean;
  email: boolean;
  /** By which ways this server reaches people. */
  channels: string[];
}

export interface Target {
  id: string;
  kind: "web_push" | "fcm";
  label: string;
  created_at: string;
  last_sent_at: string | null;
}
