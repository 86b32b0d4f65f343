import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { Command, Frame } from "../src/conversation/frames.ts";
import { NOTHING, tell } from "../src/conversation/story.ts";
import { Writers } from "../src/conversation/writers.ts";

const on: Frame = { type: "user_typing", user: "ana" };
const off: Frame = { type: "user_typing_stop", user: "ana" };

function desk() {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  const said: Command["type"][] = [];
  let story = NOTHING;
  const writers = new Writers(
    (command) => said.push(command.type) > 0,
    (told) => {
      story = tell(story, told);
    },
  );
  return { said, writers, shown: () => story.writers };
}

test("who writes hears nothing of it, and of their other device all the same", () => {
  const { said, writers, shown } = desk();
  writers.note("a");
  writers.note("ab");
  assert.deepEqual(said, ["typing"]);
  writers.hear(on, "ana");
  assert.deepEqual(shown(), []);
  writers.hear(on, "ana");
  assert.deepEqual(shown(), ["ana"]);
  writers.hear(off, "ana");
  assert.deepEqual(shown(), []);
});

test("writing is told again while it goes on, and its end once", () => {
  const { said, writers } = desk();
  writers.note("a");
  mock.timers.tick(3_000);
  writers.note("ab");
  mock.timers.tick(4_000);
  writers.stop();
  assert.deepEqual(said, ["typing", "typing", "stop_typing"]);
});

test("who went away while writing does not write for ever", () => {
  const { writers, shown } = desk();
  writers.hear({ type: "user_typing", user: "bo" }, "ana");
  assert.deepEqual(shown(), ["bo"]);
  mock.timers.tick(8_000);
  assert.deepEqual(shown(), []);
});
