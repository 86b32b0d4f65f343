/** A document read from one of its passages on, in both directions, as far as somebody scrolls. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { ask } from "../api/http.ts";
import type { PassageList } from "../api/schema.ts";
import { documentPath } from "./queries.ts";

/** Before and behind the one that is meant. */
const AROUND = 3;
const AT_ONCE = 20;

interface Stretch {
  first: number;
  limit: number;
}

export function usePassages(document: string, meant: number) {
  const first = Math.max(0, meant - AROUND);
  return useInfiniteQuery({
    queryKey: ["documents", document, "passages", meant],
    queryFn: async ({ pageParam: { first, limit } }) => {
      const { passages } = await ask<PassageList>(
        "GET",
        `${documentPath(document)}passages/?first=${first}&limit=${limit}`,
      );
      return { passages, first, isLast: passages.length < limit };
    },
    initialPageParam: { first, limit: meant - first + 1 + AROUND } as Stretch,
    getNextPageParam: ({ first, passages, isLast }): Stretch | undefined =>
      isLast ? undefined : { first: first + passages.length, limit: AT_ONCE },
    getPreviousPageParam: ({ first }): Stretch | undefined => {
      const before = Math.max(0, first - AT_ONCE);
      return first === 0 ? undefined : { first: before, limit: first - before };
    },
    staleTime: Infinity,
    gcTime: 0,
  });
}
