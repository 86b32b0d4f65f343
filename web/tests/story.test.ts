import assert from "node:assert/strict";
import { test } from "node:test";
import type { Frame } from "../src/conversation/frames.ts";
import { rowsOf } from "../src/conversation/rows.ts";
import { addOlder, NOTHING, type Story, tell, withOlderOf } from "../src/conversation/story.ts";
import { chance } from "./chance.ts";
import { Server } from "./server.ts";

const WORDS = ["Loire ", "Rhône ", "🜁", "e\u0301", "\n\n", "**", "a"];

/** What says nothing of the story, whenever it comes. */
const ASIDES: readonly Frame[] = [
  { type: "connection_established", session_id: "s", message: "Hello." },
  { type: "user_typing", user: "ada" },
  { type: "user_typing_stop", user: "ada" },
  { type: "message_read", message_id: "m", user: "ada" },
  { type: "pong" },
  { type: "error", message: "Too fast.", code: "rate_limited", retry_after: 1 },
];
/** All that a conversation's socket can say, and that the stories below have to have heard. */
const KINDS: Readonly<Record<Frame["type"], readonly string[]>> = {
  connection_established: [""],
  resumed: [" recovered", " anew"],
  snapshot: [""],
  user_message: ["", " replaces"],
  ai_typing: ["", " replaces"],
  ai_message_chunk: [""],
  ai_message_complete: [""],
  ai_message_stopped: [""],
  ai_typing_stop: [" complete", " stopped", " interrupted", " failed"],
  user_typing: [""],
  user_typing_stop: [""],
  message_read: [""],
  pong: [""],
  error: [""],
};
const heard = new Set<string>();

function kindOf(frame: Frame): string {
  if (frame.type === "resumed") return `${frame.type} ${frame.recovered ? "recovered" : "anew"}`;
  if (frame.type === "ai_typing_stop") return `${frame.type} ${frame.reason}`;
  return `${frame.type}${"replaces" in frame && frame.replaces !== undefined ? " replaces" : ""}`;
}

function seen(story: Story): unknown {
  return {
    messages: story.messages,
    replies: story.replies.map(({ id, text, position }) => ({ id, text, position })),
    // Why there is no answer is told once.
    rows: rowsOf({ ...story, whys: new Map() }),
  };
}

function fresh(server: Server): Story {
  return tell(NOTHING, server.snapshot());
}

/** A client: it hears what the server tells, is cut off at times, and comes back with its cursor. */
class Client {
  story = NOTHING;
  private readonly server: Server;
  private heard = 0;
  private connected = false;

  constructor(server: Server) {
    this.server = server;
  }

  connect(): void {
    this.connected = true;
    const cursor = this.story.cursor;
    const known = cursor !== null && Number(cursor.split(".")[0]) === this.server.revision;
    if (known) this.hear({ type: "resumed", recovered: true });
    else this.lookAnew();
  }

  leave(): void {
    this.connected = false;
  }

  /** All that it has not heard; of what it has heard, up to `most` are told once more. */
  catchUp(most = 0, merged = false): void {
    if (!this.connected) return;
    const again = Math.min(most, this.heard);
    const told = this.server.events.slice(this.heard - again).map((event) => event.frame);
    // What is told again is of one reply: a server tells no older things a second time.
    const safe = told.filter((frame, index) => index >= again || frame.type === "ai_message_chunk");
    for (const frame of merged ? merge(safe) : safe) this.hear(frame);
    this.heard = this.server.events.length;
    if (this.story.lost) this.lookAnew();
  }

  private lookAnew(): void {
    this.hear({ type: "resumed", recovered: false });
    this.hear(this.server.snapshot());
    this.heard = this.server.events.length;
  }

  hear(frame: Frame): void {
    heard.add(kindOf(frame));
    this.story = tell(this.story, frame);
  }
}

/** As for a slow reader: neighbouring pieces of a reply come as one. */
function merge(frames: readonly Frame[]): Frame[] {
  const merged: Frame[] = [];
  for (const frame of frames) {
    const last = merged.at(-1);
    if (
      frame.type === "ai_message_chunk" &&
      last?.type === "ai_message_chunk" &&
      last.message_id === frame.message_id
    ) {
      merged[merged.length - 1] = { ...frame, content: last.content + frame.content };
    } else merged.push(frame);
  }
  return merged;
}

// Others each time; a test that fails says its seed, and `SEED=… npm test` begins with it.
const STORIES = 250;
const FIRST_SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

for (let seed = FIRST_SEED; seed < FIRST_SEED + STORIES; seed += 1) {
  test(`an old story with the events since then is what a fresh look gives (${seed})`, () => {
    const { below, pick, next } = chance(seed);
    const server = new Server();
    const clients = [new Client(server), new Client(server)];
    const steps: readonly (() => void)[] = [
      () => server.say(`Question ${seed}`),
      () => server.say("Another"),
      () => server.piece(pick(WORDS)),
      () => server.piece(pick(WORDS) + pick(WORDS)),
      () => server.piece(pick(WORDS)),
      () => server.end("complete"),
      () => server.end("stopped"),
      () => server.end("interrupted", below(3)),
      () => server.end("failed"),
      () => server.regenerate(),
      () => server.askAgain(),
      () => server.prompts().length > 0 && server.edit(pick(server.prompts()), "Edited"),
      () => pick(clients).hear(pick(ASIDES)),
      () => pick(clients).leave(),
      () => pick(clients).connect(),
      () => pick(clients).catchUp(below(3), next() < 0.5),
    ];
    for (const client of clients) client.connect();
    for (let step = 0; step < 40; step += 1) {
      pick(steps)();
      for (const client of clients) if (next() < 0.6) client.catchUp(0, next() < 0.5);
    }
    for (const client of clients) {
      client.connect();
      client.catchUp();
      assert.deepEqual(seen(client.story), seen(fresh(server)));
    }
  });
}

test("the stories above have heard everything that can be said", () => {
  const all = Object.entries(KINDS).flatMap(([type, variants]) => variants.map((variant) => type + variant));
  assert.deepEqual([...heard].sort(), all.sort());
});

test("a piece that is heard twice is there once", () => {
  const server = new Server();
  server.say("Name a river.");
  server.piece("The ");
  server.piece("Loire 🜁 is long.");
  const twice = server.events.flatMap(({ frame }) => [frame, frame]);
  assert.deepEqual(seen(twice.reduce(tell, NOTHING)), seen(fresh(server)));
});

test("a piece after a gap is not guessed at: the story says that it is lost", () => {
  const server = new Server();
  server.say("Name a river.");
  for (const word of ["The ", "Loire ", "is ", "long."]) server.piece(word);
  const frames = server.events.map((event) => event.frame);
  assert.equal(frames.filter((_, index) => index !== 3).reduce(tell, NOTHING).lost, true);
});

test("prompts that wait are shown as waiting, and each reply under its own", () => {
  const server = new Server();
  for (const text of ["first", "second", "third"]) server.say(text);
  server.piece("An answer");
  const rows = rowsOf(fresh(server));
  assert.deepEqual(
    rows.map((row) => [row.kind, row.kind === "prompt" && row.queued]),
    [
      ["prompt", false],
      ["reply", false],
      ["prompt", true],
      ["prompt", true],
    ],
  );
});

test("a message whose answer never came says so, and not while it is still to come", () => {
  const server = new Server();
  server.say("first");
  assert.equal(
    rowsOf(fresh(server)).some((row) => row.kind === "missing"),
    false,
  );
  server.end("failed");
  assert.deepEqual(
    rowsOf(fresh(server)).map((row) => row.kind),
    ["prompt", "missing"],
  );
});

test("whoever stopped an answer before its first word is told that it stopped, and not that it failed", () => {
  const server = new Server();
  server.say("first");
  server.say("second");
  server.end("stopped");
  const told = () => server.events.map((event) => event.frame).reduce(tell, NOTHING);
  const [, missing] = rowsOf(told());
  assert.equal(missing?.kind === "missing" && missing.why?.kind, "stopped");
  server.end("stopped");
  server.regenerate();
  server.end("failed");
  const [, , , again] = rowsOf(told());
  assert.equal(again?.kind === "missing" && again.why, null);
});

test("what the server says of a reply that failed is kept with the prompt that it was to answer", () => {
  const server = new Server();
  server.say("first");
  const told = server.events.map((event) => event.frame);
  const [reply] = told.reduce(tell, NOTHING).replies;
  assert(reply);
  server.end("failed");
  const why: Frame = { type: "error", code: "bot_unavailable", message: "Not now.", message_id: reply.id };
  const rows = rowsOf(
    [...told, why, ...server.events.slice(told.length).map(({ frame }) => frame)].reduce(tell, NOTHING),
  );
  assert.deepEqual(
    rows.map((row) => row.kind === "missing" && row.why),
    [false, { kind: "failed", words: "Not now." }],
  );
});

test("older pages come before what is there, once", () => {
  const server = new Server();
  for (let n = 0; n < 10; n += 1) {
    server.say(`question ${n}`);
    server.piece("answer");
    server.end("complete");
  }
  const newest = tell(NOTHING, server.snapshot(8));
  const whole = fresh(server);
  assert.equal(newest.hasMore, true);
  const paged = addOlder(newest, whole.messages.slice(0, 14), false);
  assert.deepEqual(paged.messages, whole.messages);
});

test("a fresh look leaves older messages in place, unless something is missing between", () => {
  const server = new Server();
  const talk = (times: number) => {
    for (let n = 0; n < times; n += 1) {
      server.say(`question ${n}`);
      server.piece("answer");
      server.end("complete");
    }
  };
  talk(10);
  const read = addOlder(tell(NOTHING, server.snapshot(8)), fresh(server).messages, false);
  talk(2);
  const next = withOlderOf(read, tell(read, server.snapshot(8)));
  assert.deepEqual([next.messages, next.hasMore], [fresh(server).messages, false]);
  talk(10);
  const far = withOlderOf(next, tell(next, server.snapshot(8)));
  assert.deepEqual([far.messages.length, far.hasMore], [8, true]);
});
