/** A conversation that is open here: its story as it goes on, and what is said in it. */

import { ask } from "../api/http.ts";
import { Line, type LineState } from "../api/line.ts";
import type { MessagePage, MessageShown, TakenBack } from "../api/schema.ts";
import { say as toast } from "../parts/toasts.ts";
import { Watched } from "../parts/watched.ts";
import type { Command, Frame } from "./frames.ts";
import { keepWaiting, newWaiting, type Waiting, waitingIn } from "./outbox.ts";
import { addOlder, NOTHING, type Story, tell } from "./story.ts";
import { Writers } from "./writers.ts";

const PAGE = 100;
/** Whoever has to wait for longer than these seconds is not kept in the dark, and asks again by themselves. */
const PATIENCE = 120;
/** No cursor of the server's: it answers with a snapshot. */
const ANEW = "anew";

export class Live {
  readonly id: string;
  /** As it is shown: once in a frame, however many pieces come. */
  readonly story: Watched<Story>;
  readonly line = new Watched<LineState>("connecting");
  readonly waiting: Watched<readonly Waiting[]>;
  /** The reply that ended last while somebody listened. */
  readonly finished = new Watched<MessageShown | null>(null);
  /** Counts the replies that failed or broke off while somebody listened. */
  readonly failures = new Watched(0);
  private current: Story = NOTHING;
  /** Counts when it may have other branches than before. */
  readonly turned = new Watched(0);
  private branching = false;
  private readonly writers = new Writers(
    (command) => this.command(command),
    (told) => this.turn(tell(this.current, told)),
  );
  private socket: Line | null = null;
  private due = false;
  private askedAnew = false;

  constructor(id: string) {
    this.id = id;
    this.story = new Watched(this.current);
    this.waiting = new Watched(waitingIn(id));
  }

  enter(): void {
    this.askedAnew = false;
    this.socket = new Line(
      () =>
        `ws/ai-chat/session/${this.id}/?full_content=0&cursor=${encodeURIComponent(this.current.cursor ?? ANEW)}`,
      (frame) => this.hear(frame as Frame),
      (state) => {
        if (state !== "open") this.writers.forget();
        this.line.set(state);
      },
    );
  }

  leave(): void {
    this.writers.stop();
    this.writers.forget();
    this.socket?.close();
    this.socket = null;
    this.line.set("connecting");
  }

  comeBack(): void {
    this.socket?.comeBack();
  }

  // What is said

  /** Whoever else has it open sees that somebody writes. */
  writing(text: string): void {
    this.writers.note(text);
  }

  send(text: string, edits?: string): void {
    this.writers.stop();
    const waiting = newWaiting(text, edits);
    this.wait([...this.waiting.value, waiting]);
    this.pass(waiting);
  }

  /** Once more, with the same id: what has been said already is not said twice. */
  sendAgain(waiting: Waiting): void {
    const { problem: _, again: __, ...again } = waiting;
    this.wait(this.waiting.value.map((one) => (one.id === again.id ? again : one)));
    this.pass(again);
  }

  /** What was said and is not answered yet: as if it had never been said. Gives its text. */
  async takeBackSaid(message: MessageShown): Promise<string> {
    const taken = await ask<TakenBack>("POST", `${this.path}messages/${message.id}/take_back/`);
    return taken.content;
  }

  takeBack(waiting: Waiting): void {
    this.wait(this.waiting.value.filter((one) => one.id !== waiting.id));
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

  command(command: Command): boolean {
    return this.socket?.say(command) ?? false;
  }

  /** As it stands now, after a change that no event tells. */
  lookAnew(): void {
    this.command({ type: "resume", cursor: ANEW });
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

  // What is heard

  private hear(frame: Frame): void {
    if (frame.type === "user_typing" || frame.type === "user_typing_stop") {
      this.writers.hear(frame, this.current.settings?.user.username);
      return;
    }
    this.turn(tell(this.current, frame));
    this.watchBranches(frame);
    switch (frame.type) {
      case "snapshot":
        this.askedAnew = false;
        this.forget(frame.session.messages.map((message) => message.metadata.client_message_id));
        this.sendWaiting();
        this.markRead();
        break;
      case "resumed":
        if (frame.recovered) this.sendWaiting();
        break;
      case "user_message":
        this.forget([frame.client_message_id]);
        break;
      case "ai_message_complete":
      case "ai_message_stopped":
        this.finished.set(frame.message);
        this.markRead();
        break;
      case "ai_typing_stop":
        if (["failed", "interrupted"].includes(frame.reason)) this.failures.set(this.failures.value + 1);
        break;
      case "error":
        this.hearError(frame);
        break;
    }
    if (this.current.lost && !this.askedAnew) {
      this.askedAnew = this.command({ type: "resume", cursor: ANEW });
    }
  }

  /** What replaces another message begins a branch, and so does the reply to it once it has ended. */
  private watchBranches(frame: Frame): void {
    const begins = "replaces" in frame && frame.replaces !== undefined;
    const ends = frame.type === "ai_typing_stop" && this.branching;
    if (begins) this.branching = true;
    if (frame.type === "snapshot" || ends) this.branching = false;
    if (begins || ends || frame.type === "snapshot") this.turned.set(this.turned.value + 1);
  }

  private hearError(frame: Extract<Frame, { type: "error" }>): void {
    const said = this.waiting.value.find((one) => one.id === frame.client_message_id);
    if (said !== undefined) {
      // Where it is only a matter of time, nobody need do anything.
      const { retry_after: seconds, message: problem } = frame;
      if (seconds !== undefined && seconds <= PATIENCE) {
        setTimeout(() => this.tryAgain(said.id), seconds * 1000);
      }
      const again = seconds === undefined ? {} : { again: Date.now() + seconds * 1000 };
      this.wait(this.waiting.value.map((one) => (one === said ? { ...said, problem, ...again } : one)));
    } else if (!["bot_unavailable", "unauthenticated", "not_found", "not_running"].includes(frame.code)) {
      // The others show by themselves: in the story, or by the line that is closed.
      toast(frame.message);
    }
  }

  private tryAgain(id: string): void {
    const waiting = this.waiting.value.find((one) => one.id === id);
    if (waiting?.problem !== undefined) this.sendAgain(waiting);
  }

  /** Told only where somebody looks. */
  private markRead(): void {
    const last = this.current.messages.at(-1);
    if (last?.role === "assistant" && document.visibilityState === "visible") {
      this.command({ type: "read", message_id: last.id });
    }
  }

  private sendWaiting(): void {
    for (const waiting of this.waiting.value) if (waiting.problem === undefined) this.pass(waiting);
  }

  private pass(waiting: Waiting): void {
    const said = { message: waiting.text, client_message_id: waiting.id };
    this.command(
      waiting.edits === undefined
        ? { type: "send_message", ...said }
        : { type: "edit", message_id: waiting.edits, ...said },
    );
  }

  private forget(heard: readonly (string | undefined)[]): void {
    const left = this.waiting.value.filter((one) => !heard.includes(one.id));
    if (left.length !== this.waiting.value.length) this.wait(left);
  }

  private wait(waiting: readonly Waiting[]): void {
    keepWaiting(this.id, waiting);
    this.waiting.set(waiting);
  }

  private turn(story: Story): void {
    this.current = story;
    if (this.due) return;
    this.due = true;
    const show = () => {
      this.due = false;
      this.story.set(this.current);
    };
    // A page that nobody looks at gets no frames.
    if (document.visibilityState === "visible") requestAnimationFrame(show);
    else setTimeout(show, 200);
  }
}

const MOST_KEPT = 10;
const known = new Map<string, Live>();

/** The conversation of that id as it was left, so that it is there at once. */
export function liveOf(id: string): Live {
  const live = known.get(id) ?? new Live(id);
  known.delete(id);
  known.set(id, live);
  const oldest = known.keys().next().value;
  if (known.size > MOST_KEPT && oldest !== undefined) known.delete(oldest);
  return live;
}

export function forgetAll(): void {
  known.clear();
}
