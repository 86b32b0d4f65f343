/**
 * A conversation that is open here, with a bot or among people: its story as it goes on, and what is said in it. What is
 * said waits until it is heard, over reloads and lost connections; who writes just now is seen.
 */

import { Line, type LineState } from "../api/line.ts";
import { say as toast } from "../parts/toasts.ts";
import { Watched } from "../parts/watched.ts";
import type { Command, Frame, Spoken } from "./frames.ts";
import { keepWaiting, newWaiting, type Waiting, waitingIn } from "./outbox.ts";
import { NOTHING, type Story, tell } from "./story.ts";
import { Writers } from "./writers.ts";

/** Whoever has to wait for longer than these seconds is not kept in the dark, and asks again by themselves. */
const PATIENCE = 120;
/** No cursor of the server's: it answers with a snapshot. */
const ANEW = "anew";

export abstract class Open<M extends Spoken> {
  readonly id: string;
  /** As it is shown: once in a frame, however many pieces come. */
  readonly story: Watched<Story<M>>;
  readonly line = new Watched<LineState>("connecting");
  readonly waiting: Watched<readonly Waiting[]>;
  /** What ended last while somebody listened: the reply of a bot, or what somebody else said. */
  readonly finished = new Watched<M | null>(null);
  protected current: Story<M> = { ...NOTHING, messages: [] };
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

  /** By which user name what is told here comes back. */
  protected abstract get me(): string | undefined;
  /** The id that its sender gave it. */
  protected abstract clientIdOf(message: M): string | undefined;
  /** With messages as they are kept here. */
  protected abstract toOwn(told: Frame): Frame<M>;
  abstract loadOlder(): Promise<void>;

  enter(): void {
    this.askedAnew = false;
    this.socket = new Line(
      () =>
        `ws/ai-chat/session/${this.id}/?full_content=0&cursor=${encodeURIComponent(this.current.cursor ?? ANEW)}`,
      (frame) => this.hear(this.toOwn(frame as Frame)),
      (state) => {
        if (state !== "open") this.writers.forget();
        this.line.set(state);
      },
    );
  }

  leave(): void {
    this.rest();
    this.line.set("connecting");
  }

  /** Nobody looks, until they come back: nothing is heard, and nobody believes that it is. */
  rest(): void {
    this.writers.stop();
    this.writers.forget();
    this.socket?.close();
    this.socket = null;
  }

  comeBack(): void {
    if (this.socket === null) this.enter();
    else this.socket.comeBack();
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

  takeBack(waiting: Waiting): void {
    this.wait(this.waiting.value.filter((one) => one.id !== waiting.id));
  }

  command(command: Command): boolean {
    return this.socket?.say(command) ?? false;
  }

  /** As it stands now, after a change that no event tells. */
  lookAnew(): void {
    this.command({ type: "resume", cursor: ANEW });
  }

  // What is heard

  protected hear(frame: Frame<M>): void {
    if (frame.type === "user_typing" || frame.type === "user_typing_stop") {
      this.writers.hear(frame, this.me);
      return;
    }
    this.turn(tell(this.current, frame));
    switch (frame.type) {
      case "snapshot":
        this.askedAnew = false;
        this.forget(frame.session.messages.map((message) => this.clientIdOf(message)));
        this.sendWaiting();
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
        break;
      case "error":
        this.hearError(frame);
        break;
    }
    if (this.current.lost && !this.askedAnew) {
      this.askedAnew = this.command({ type: "resume", cursor: ANEW });
    }
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
    } else if (!this.shows(frame.code)) {
      toast(frame.message);
    }
  }

  /** Whether a failure shows by itself: in the story, or by the line that is closed. */
  protected shows(code: string): boolean {
    return ["unauthenticated", "not_found", "not_running"].includes(code);
  }

  private tryAgain(id: string): void {
    const waiting = this.waiting.value.find((one) => one.id === id);
    if (waiting?.problem !== undefined) this.sendAgain(waiting);
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
    keepWaiting(this.id, this.waiting.value, waiting);
    this.waiting.set(waiting);
  }

  protected turn(story: Story<M>): void {
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

/** Those that were open last, as they were left, so that they are there at once. */
export class LastOpen<O> {
  private readonly known = new Map<string, O>();
  private readonly make: (id: string) => O;

  constructor(make: (id: string) => O) {
    this.make = make;
  }

  of(id: string): O {
    const open = this.known.get(id) ?? this.make(id);
    this.known.delete(id);
    this.known.set(id, open);
    const oldest = this.known.keys().next().value;
    if (this.known.size > MOST_KEPT && oldest !== undefined) this.known.delete(oldest);
    return open;
  }

  forget(): void {
    this.known.clear();
  }
}
