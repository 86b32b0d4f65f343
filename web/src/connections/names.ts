/** What people and conversations with them are called here. */

import type { PeopleConversation as Connected, MemberShown as Person } from "../api/schema.ts";

export function nameOf({ full_name, username }: Pick<Person, "full_name" | "username">): string {
  return full_name || username;
}

/** All but who looks. */
export function others({ members }: Connected, me: string | null) {
  return members.filter(({ username }) => username !== me);
}

/** Of a pair the other one's name. */
export function titleOf(connected: Connected, me: string | null, language: string): string {
  if (connected.kind === "group" && connected.title !== "") return connected.title;
  const names = others(connected, me).map(nameOf);
  return new Intl.ListFormat(language, { type: "conjunction", style: "narrow" }).format(names);
}

/** By the user name; who has left has no other one here. */
export function nameIn(connected: Connected | undefined, username: string): string {
  const found = connected?.members.find((member) => member.username === username);
  return found === undefined ? username : nameOf(found);
}

/** Each of these words is in a name in it: its own, or that of somebody who is in it. */
export function isCalled({ title, members }: Connected, sought: string): boolean {
  const names = [title, ...members.flatMap(({ full_name, username }) => [full_name, username])];
  const all = names.join(" ").toLowerCase();
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => all.includes(word));
}
