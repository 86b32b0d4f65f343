import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeopleConversation as Connected, PersonMessage as Said } from "../src/api/schema.ts";
import { piecesOf } from "../src/connections/links.ts";
import { listedAs, withTold } from "../src/connections/listed.ts";
import { isCalled, titleOf } from "../src/connections/names.ts";
import { rowsOf, seenBy } from "../src/connections/rows.ts";
import { labelOf } from "../src/notify/label.ts";

const MIRA = { id: "1", username: "mira" };
const ANA = { id: "2", username: "ana" };

function said(number: number, sender: Said["sender"], at: string, more: Partial<Said> = {}): Said {
  const id = `m${number}`;
  const rest = { edited_at: null, removed: false, client_message_id: null, status: "complete" } as const;
  return { id, number, sender, role: "user", content: `${number}`, created_at: at, ...rest, ...more };
}

test("a day is told once, and an author where another one begins or a while has passed", () => {
  const rows = rowsOf(
    [
      said(1, MIRA, "2026-03-02T10:00:00"),
      said(2, MIRA, "2026-03-02T10:01:00"),
      said(3, ANA, "2026-03-02T10:02:00"),
      said(4, ANA, "2026-03-02T10:30:00"),
      said(5, ANA, "2026-03-03T10:30:00"),
    ],
    [{ id: "r", text: "So", position: 2 }],
  );
  const shown = rows.map((row) =>
    row.kind === "said" ? `${row.message.number}${row.begins ? "!" : ""}` : row.kind,
  );
  assert.deepEqual(shown, ["day", "1!", "2", "3!", "4!", "day", "5!", "reply"]);
});

test("a message is seen by those who have read as far as one's own last one that is still there", () => {
  const messages = [
    said(1, MIRA, "2026-03-02T10:00:00"),
    said(2, ANA, "2026-03-02T10:00:00"),
    said(3, MIRA, "2026-03-02T10:00:00", { removed: true }),
  ];
  const read = new Map([
    ["ana", 2],
    ["oleg", 0],
    ["mira", 3],
  ]);
  assert.deepEqual(seenBy(messages, read, "mira"), ["ana"]);
  assert.deepEqual(seenBy(messages, read, "oleg"), []);
});

test("a pair is called as the other one, a group as it is named or as those who are in it", () => {
  const people = [
    { ...MIRA, full_name: "Mira Lindt", present: true, manages: true, read_number: 0 },
    { ...ANA, full_name: "", present: null, manages: false, read_number: 0 },
  ];
  const connected = { kind: "pair", title: "", members: people } as unknown as Connected;
  assert.equal(titleOf(connected, "mira", "en"), "ana");
  assert.equal(titleOf(connected, "ana", "en"), "Mira Lindt");
  assert.equal(titleOf({ ...connected, kind: "group", title: "Bakers" }, "ana", "en"), "Bakers");
  assert.equal(titleOf({ ...connected, kind: "group" }, "oleg", "en"), "Mira Lindt, ana");
  assert.ok(isCalled(connected, "lindt ANA"));
  assert.ok(!isCalled(connected, "oleg"));
});

test("what is told of a conversation is counted, and what is said in it brings it to the top", () => {
  const one = (id: string, muted: boolean) => ({
    id,
    muted,
    status: "active",
    unread_count: 1,
    last_message: null,
  });
  const page = (...conversations: unknown[]) => ({ conversations, has_more: true, unread_total: 2 });
  const known = {
    pages: [page(one("a", false), one("m", true)), page(one("b", false))],
    pageParams: [0, 50],
  };
  const first = known as unknown as Parameters<typeof withTold>[0];
  const last_message = said(1, ANA, "2026-03-02T10:00:00");
  const raised = withTold(first, "b", { unread_count: 4, last_message });
  assert.deepEqual(
    raised.pages.map(({ conversations }) => conversations.map(({ id }) => id)),
    [["b", "a", "m"], []],
  );
  assert.equal(raised.pages[0]?.unread_total, 5);
  const read = withTold(withTold(raised, "b", { unread_count: 0 }), "m", { unread_count: 9 });
  assert.equal(read.pages[0]?.unread_total, 1);
  assert.deepEqual(listedAs(read, "b")?.last_message, last_message);
});

test("an address is a link without what stands around it, and nothing else is one", () => {
  const linksIn = (text: string) => piecesOf(text).flatMap((piece) => (piece.isLink ? [piece.text] : []));
  const text =
    "See https://example.org/a_(b)?q=1, or (http://example.org/c). Not javascript:alert(1) nor http://";
  assert.deepEqual(linksIn(text), ["https://example.org/a_(b)?q=1", "http://example.org/c"]);
  assert.equal(
    piecesOf(text)
      .map((piece) => piece.text)
      .join(""),
    text,
  );
});

test("a device is called as people tell theirs apart", () => {
  const phone = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36";
  assert.equal(labelOf(phone), "Chrome, Android");
  assert.equal(
    labelOf("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    "Firefox, Linux",
  );
  assert.equal(labelOf("curl/8"), "");
});
