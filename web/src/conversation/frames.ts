import type { MessageShown, WholeSession } from "../api/schema.ts";

export type Ending = "complete" | "stopped" | "interrupted" | "failed";

interface Replying {
  message_id: string;
  position: number;
}

/** What there is of a message whoever talks: a person with a bot, or people with each other. */
export type Spoken = Pick<MessageShown, "id" | "number" | "role" | "content" | "created_at">;

/** What the socket of a conversation says. `cursor` says how much of the conversation is known after it. */
export type Frame<M extends Spoken = MessageShown> = { cursor?: string } & (
  | { type: "connection_established"; session_id: string; message: string }
  | { type: "resumed"; recovered: boolean }
  | {
      type: "snapshot";
      session: Omit<WholeSession, "messages"> & { messages: M[] };
      has_more: boolean;
      reply: { message_id: string; content: string; position: number } | null;
    }
  | { type: "user_message"; message: M; client_message_id?: string; replaces?: string }
  | ({ type: "ai_typing"; message: string; replaces?: string } & Replying)
  | ({ type: "ai_message_chunk"; content: string } & Replying)
  | ({ type: "ai_message_complete"; message: M } & Replying)
  | ({ type: "ai_message_stopped"; message: M } & Replying)
  | ({ type: "ai_typing_stop"; reason: Ending } & Replying)
  | { type: "user_typing" | "user_typing_stop"; user: string }
  | { type: "message_read"; message_id: string; user: string }
  | { type: "pong" }
  | {
      type: "error";
      message: string;
      code: string;
      client_message_id?: string;
      message_id?: string;
      retry_after?: number;
    }
);

/** What the app says. */
export type Command =
  | { type: "send_message"; message: string; client_message_id: string }
  | { type: "edit"; message_id: string; message: string; client_message_id: string }
  | { type: "regenerate"; message_id?: string }
  | { type: "stop"; message_id?: string }
  | { type: "typing" | "stop_typing" }
  | { type: "read"; message_id: string }
  | { type: "resume"; cursor: string }
  | { type: "ping" };
