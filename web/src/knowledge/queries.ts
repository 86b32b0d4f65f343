/** What is known of collections and of the documents in them. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ask } from "../api/http.ts";
import type {
  CollectionList,
  CollectionShown,
  DocumentList,
  DocumentShown,
  PassageList,
  PassageShown,
} from "../api/schema.ts";

export const COLLECTIONS = ["collections"];
const DOCUMENTS_AT_ONCE = 50;
const FOUND_AT_ONCE = 8;
/** While one is still being read. */
const LOOK_EVERY = 1_500;
/** While nothing is known to change: other windows and other people upload and delete, too. */
const LOOK_NOW_AND_THEN = 8_000;

export function collectionPath(id: string): string {
  return `ai-chat/api/collections/${id}/`;
}

export function documentPath(id: string): string {
  return `ai-chat/api/documents/${id}/`;
}

/** Others make some, too: what is known is shown, and looked at again. */
export function useCollections() {
  return useQuery({
    queryKey: COLLECTIONS,
    queryFn: async () => (await ask<CollectionList>("GET", "ai-chat/api/collections/")).collections,
    staleTime: 0,
  });
}

export function useCollection(id: string) {
  return useQuery({
    queryKey: [...COLLECTIONS, id],
    queryFn: () => ask<CollectionShown>("GET", collectionPath(id)),
    staleTime: 0,
    // Once it is gone, it stays so.
    refetchInterval: ({ state }) => (state.error === null ? LOOK_NOW_AND_THEN : false),
  });
}

export function documentsKey(collection: string): readonly string[] {
  return [...COLLECTIONS, collection, "documents"];
}

export function useDocuments(collection: string) {
  return useInfiniteQuery({
    queryKey: documentsKey(collection),
    queryFn: ({ pageParam }) =>
      ask<DocumentList>(
        "GET",
        `${collectionPath(collection)}documents/?limit=${DOCUMENTS_AT_ONCE}&offset=${pageParam}`,
      ),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => {
      const shown = pages.reduce((sum, page) => sum + page.documents.length, 0);
      return shown < last.total && last.documents.length > 0 ? shown : undefined;
    },
    staleTime: 0,
    refetchInterval: ({ state }) =>
      state.data?.pages.some((page) => page.documents.some(isUnderWay)) ? LOOK_EVERY : LOOK_NOW_AND_THEN,
  });
}

export function isUnderWay({ status }: DocumentShown): boolean {
  return status === "waiting" || status === "reading";
}

export function useDocument(id: string) {
  return useQuery({
    queryKey: ["documents", id],
    queryFn: () => ask<DocumentShown>("GET", documentPath(id)),
    staleTime: 0,
    gcTime: 0,
  });
}

/** What a bot would be given for such a question. Nothing is asked for without one. */
export function useFound(collection: string, question: string) {
  const query = new URLSearchParams({ q: question, limit: String(FOUND_AT_ONCE) });
  return useQuery({
    queryKey: [...COLLECTIONS, collection, "search", question],
    queryFn: async (): Promise<readonly PassageShown[]> =>
      (await ask<PassageList>("GET", `${collectionPath(collection)}search/?${query}`)).passages,
    enabled: question !== "",
    staleTime: 0,
    gcTime: 0,
  });
}
