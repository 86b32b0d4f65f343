import assert from "node:assert/strict";
import { test } from "node:test";
import { keepWaiting, newWaiting, waitingIn } from "../src/conversation/outbox.ts";

const WHERE = "a conversation";

test("what waits in one tab stays, whatever another one has waiting, sends and takes back", () => {
  const first = { ...newWaiting("First"), said: 1 };
  const second = { ...newWaiting("Second"), said: 2 };
  const third = { ...newWaiting("Third"), said: 3 };
  const elsewhere = newWaiting("Elsewhere");
  // Two tabs that were opened while nothing waited: neither knows what the other keeps.
  keepWaiting(WHERE, [], [second]);
  keepWaiting(WHERE, [], [first]);
  keepWaiting(WHERE, [first], [first, third]);
  keepWaiting("another conversation", [], [elsewhere]);
  assert.deepEqual(waitingIn(WHERE), [first, second, third]);

  const refused = { ...second, problem: "Not now." };
  keepWaiting(WHERE, [second], [refused]);
  keepWaiting(WHERE, [first, third], [third]);
  assert.deepEqual(waitingIn(WHERE), [refused, third]);
  keepWaiting(WHERE, [refused], []);
  keepWaiting(WHERE, [third], []);
  assert.deepEqual(waitingIn(WHERE), []);
});
