/** A conversation with a bot that is open here: its branches, and what is asked in it again. */

import { ask } from "../api/http.ts";
import type { MessagePage, MessageShown, TakenBack } from "../api/schema.ts";
import { Watched } from "../parts/watched.ts";
import type { Frame } from "./frames.ts";
import { LastOpen, Open } from "./open.ts";
import { addOlder } from "./story.ts";

const PAGE = 100;

export class Live extends Open<MessageShown> {
  /** Counts the replies that failed or broke off while somebody listened. */
  readonly failures = new Watched(0);
  /** Counts when it may have other branches than before. */
  readonly turned = new Watched(0);
  private branching = false;

  protected get me(): string | undefined {
    return this.current.settings?.user.username;
  }

  protected clientIdOf(message: MessageShown): string | undefined {
    return message.metadata.client_message_id;
  }

  protected toOwn(told: Frame): Frame {
    return told;
  }

  /** What was said and is not answered yet: as if it had never been said. Gives its text. */
  async takeBackSaid(message: MessageShown): Promise<string> {
    const taken = await ask<TakenBack>("POST", `${this.path}messages/${message.id}/take_back/`);
    return taken.content;
  }

  /** Has the bot asked again for a message that it has not answered, or not to its end. */
  askAgain(prompt: MessageShown, reply: MessageShown | null): boolean {
    const known = prompt.metadata.client_message_id;
    if (known !== undefined) {
      return this.command({ type: "send_message", message: prompt.content, client_message_id: known });
    }
    return this.command(
      reply === null ? { type: "regenerate" } : { type: "regenerate", message_id: reply.id },
    );
  }

  async loadOlder(): Promise<void> {
    const have = this.current.messages.length;
    const total = await ask<MessagePage>("GET", `${this.path}messages/?limit=1`);
    const offset = Math.max(0, total.total_count - have - PAGE);
    const limit = Math.max(1, total.total_count - have - offset);
    const page = await ask<MessagePage>("GET", `${this.path}messages/?limit=${limit}&offset=${offset}`);
    this.turn(addOlder(this.current, page.messages, offset > 0));
  }

  private get path(): string {
    return `ai-chat/api/sessions/${this.id}/`;
  }

  protected override hear(frame: Frame): void {
    super.hear(frame);
    this.watchBranches(frame);
    if (["snapshot", "ai_message_complete", "ai_message_stopped"].includes(frame.type)) this.markRead();
    if (frame.type === "ai_typing_stop" && ["failed", "interrupted"].includes(frame.reason)) {
      this.failures.set(this.failures.value + 1);
    }
  }

  protected override shows(code: string): boolean {
    return code === "bot_unavailable" || super.shows(code);
  }

  /** What replaces another message begins a branch, and so does the reply to it once it has ended. */
  private watchBranches(frame: Frame): void {
    const begins = "replaces" in frame && frame.replaces !== undefined;
    const ends = frame.type === "ai_typing_stop" && this.branching;
    if (begins) this.branching = true;
    if (frame.type === "snapshot" || ends) this.branching = false;
    if (begins || ends || frame.type === "snapshot") this.turned.set(this.turned.value + 1);
  }

  /** Told only where somebody looks. */
  private markRead(): void {
    const last = this.current.messages.at(-1);
    if (last?.role === "assistant" && document.visibilityState === "visible") {
      this.command({ type: "read", message_id: last.id });
    }
  }
}

const last = new LastOpen((id) => new Live(id));

export function liveOf(id: string): Live {
  return last.of(id);
}

export function forgetAll(): void {
  last.forget();
}
