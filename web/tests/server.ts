/**
 * A conversation as the server keeps it, small enough to see through: what is said, answered, stopped, broken off, edited;
 * the events that this makes; and a fresh look at it, as a snapshot gives one.
 */

import type { MessageShown, WholeSession } from "../src/api/schema.ts";
import type { Ending, Frame } from "../src/conversation/frames.ts";

interface Kept extends MessageShown {
  inView: boolean;
  state: "waiting" | "running" | "over";
}

export class Server {
  /** With the revision that each belongs to. */
  readonly events: { revision: number; frame: Frame }[] = [];
  revision = 0;
  private readonly kept: Kept[] = [];
  private now = Date.parse("2026-03-02T09:00:00Z");

  say(text: string): void {
    const prompt = this.add("user", text, this.leaf()?.id ?? null, "over");
    this.tell({ type: "user_message", message: show(prompt), client_message_id: `c${prompt.number}` });
    this.add("assistant", "", prompt.id, "waiting");
    this.next();
  }

  piece(text: string): void {
    const reply = this.running();
    if (reply === undefined) return;
    reply.content += text;
    this.tell({
      type: "ai_message_chunk",
      content: text,
      message_id: reply.id,
      position: [...reply.content].length,
    });
  }

  /** `lost`: how much of the text a worker that died has taken with it. */
  end(how: Ending, lost = 0): void {
    const reply = this.running();
    if (reply === undefined) return;
    reply.content = [...reply.content].slice(0, [...reply.content].length - lost).join("");
    const reason = how === "interrupted" && reply.content === "" ? "failed" : how;
    if (reason === "failed") reply.content = "";
    reply.status = reason;
    reply.state = "over";
    const said = { message_id: reply.id, position: [...reply.content].length };
    if (reason === "complete") this.tell({ type: "ai_message_complete", message: show(reply), ...said });
    if (reason === "stopped") this.tell({ type: "ai_message_stopped", message: show(reply), ...said });
    this.tell({ type: "ai_typing_stop", reason, ...said });
    this.next();
  }

  /** Another wording of a message in view; what followed it leaves the view. */
  edit(prompt: MessageShown, text: string): void {
    this.drop(prompt.number);
    const edited = this.add("user", text, prompt.parent_id, "over");
    this.tell({ type: "user_message", message: show(edited), replaces: prompt.id });
    this.add("assistant", "", edited.id, "waiting");
    this.next();
  }

  /** Another reply beside the last one, or in place of the one that never came. */
  regenerate(): void {
    const last = this.kept.findLast((message) => message.role === "assistant" && message.inView);
    if (last === undefined || this.running() !== undefined) return;
    this.drop(last.number);
    this.add("assistant", "", last.parent_id, "waiting");
    this.next(last.id);
  }

  /** The same reply anew, after it has failed or broken off: another story, as for whoever edits. */
  askAgain(): void {
    const reply = this.kept.findLast((message) => message.role === "assistant" && message.inView);
    if (reply === undefined || this.running() !== undefined || reply.status === "complete") return;
    this.revision += 1;
    Object.assign(reply, { content: "", state: "waiting" });
    this.next();
  }

  prompts(): readonly MessageShown[] {
    return this.kept.filter((message) => message.inView && message.role === "user");
  }

  snapshot(newest = 100): Frame {
    const listed = this.kept
      .filter((message) => message.inView && message.state === "over")
      .filter((message) => message.role !== "assistant" || message.content !== "")
      .map(show);
    const reply = this.running();
    return {
      type: "snapshot",
      session: { id: "s", title: "Talk", messages: listed.slice(-newest) } as WholeSession,
      has_more: listed.length > newest,
      reply: reply
        ? { message_id: reply.id, content: reply.content, position: [...reply.content].length }
        : null,
      cursor: this.cursor,
    };
  }

  get cursor(): string {
    return `${this.revision}.${this.events.length}`;
  }

  private running(): Kept | undefined {
    return this.kept.find((message) => message.state === "running" && message.inView);
  }

  private leaf(): Kept | undefined {
    return this.kept.findLast((message) => message.inView);
  }

  private next(replaces?: string): void {
    if (this.running() !== undefined) return;
    const reply = this.kept.find((message) => message.state === "waiting" && message.inView);
    if (reply === undefined) return;
    reply.state = "running";
    const told = { message: "AI is thinking...", message_id: reply.id, position: 0 };
    this.tell(
      replaces === undefined ? { type: "ai_typing", ...told } : { type: "ai_typing", replaces, ...told },
    );
  }

  private drop(from: number): void {
    this.revision += 1;
    for (const message of this.kept) if (message.number >= from) message.inView = false;
  }

  private add(
    role: "user" | "assistant",
    content: string,
    parent: string | null,
    state: Kept["state"],
  ): Kept {
    if (role === "user") this.now += 5;
    const number = this.kept.length + 1;
    const time = this.now.toString(16).padStart(12, "0");
    const message: Kept = {
      id: `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${number.toString(16).padStart(12, "0")}`,
      role,
      content,
      tool_calls: null,
      tool_call_id: null,
      metadata: {},
      created_at: new Date(this.now).toISOString(),
      token_count: null,
      number,
      status: "complete",
      parent_id: parent,
      inView: true,
      state,
    };
    this.kept.push(message);
    return message;
  }

  private tell(frame: Frame): void {
    this.events.push({
      revision: this.revision,
      frame: { ...frame, cursor: `${this.revision}.${this.events.length + 1}` },
    });
  }
}

function show(message: Kept): MessageShown {
  const { inView: _, state: __, ...shown } = message;
  return { ...shown };
}
