/** What is known of the conversations with people, and what changes them. */

import { type InfiniteData, type QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ask } from "../api/http.ts";
import type { PeopleConversation as Connected, MyConversations as ConnectedList } from "../api/schema.ts";
import { listedAs, type Told, withTold } from "./listed.ts";

const CONVERSATIONS = "api/people/conversations";
const LIST = ["people", "list"];
const PAGE = 50;
/** Who is there is told to the minute, and by no event. */
const LOOK_EVERY = 45_000;

export function pathOf(id: string): string {
  return `${CONVERSATIONS}/${id}`;
}

/** The newest activity first. */
export function useConnections() {
  return useInfiniteQuery({
    queryKey: LIST,
    queryFn: ({ pageParam }) =>
      ask<ConnectedList>("GET", `${CONVERSATIONS}?status=all&limit=${PAGE}&offset=${pageParam}`),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => (last.has_more ? pages.length * PAGE : undefined),
    staleTime: 0,
    refetchInterval: LOOK_EVERY,
  });
}

export function useConnection(id: string) {
  return useQuery({
    queryKey: ["people", id],
    queryFn: () => ask<Connected>("GET", pathOf(id)),
    staleTime: 0,
    refetchInterval: LOOK_EVERY,
  });
}

/** With those of these names or ids; a pair that is there already is given again. */
export function begin(members: readonly string[], title: string): Promise<Connected> {
  return ask("POST", CONVERSATIONS, title === "" ? { members } : { members, title });
}

export function lookAnew(queries: QueryClient): Promise<void> {
  return queries.invalidateQueries({ queryKey: ["people"] });
}

/** As the list has it. */
export function listed(queries: QueryClient, id: string): Connected | undefined {
  return listedAs(queries.getQueryData<InfiniteData<ConnectedList, number>>(LIST), id);
}

/** As an event has told it: nothing need be asked. */
export function note(queries: QueryClient, id: string, told: Told): void {
  queries.setQueryData<InfiniteData<ConnectedList, number>>(
    LIST,
    (known) => known && withTold(known, id, told),
  );
}

/** As the server has just told it. */
export function take(queries: QueryClient, connected: Connected): void {
  queries.setQueryData(["people", connected.id], connected);
  void queries.invalidateQueries({ queryKey: LIST });
}

export function change(
  id: string,
  changes: { title?: string; muted?: boolean; preset_id?: number | null },
): Promise<Connected> {
  return ask("PATCH", pathOf(id), changes);
}

export async function invite(id: string, members: readonly string[]): Promise<Connected> {
  await ask("POST", `${pathOf(id)}/members`, { members });
  return ask("GET", pathOf(id));
}

export async function remove(id: string, person: string): Promise<void> {
  await ask("DELETE", `${pathOf(id)}/members/${person}`);
}

export async function leave(id: string): Promise<void> {
  await ask("POST", `${pathOf(id)}/leave`);
}

export async function end(id: string): Promise<void> {
  await ask("POST", `${pathOf(id)}/end`);
}

export async function block(person: string): Promise<void> {
  await ask("POST", `api/people/blocks/${person}`);
}

export async function unblock(person: string): Promise<void> {
  await ask("DELETE", `api/people/blocks/${person}`);
}

export async function stopBot(id: string): Promise<void> {
  await ask("POST", `${pathOf(id)}/stop`);
}
