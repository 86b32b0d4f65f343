import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { wordsOf } from "../api/refused.ts";

interface FetchedProps<T> {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}

/** What was asked for, once it is there; that it comes; or why it does not. */
export function Fetched<T>({ query, children }: FetchedProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) {
    return (
      <p className="notice warn" role="alert">
        {wordsOf(query.error)}
      </p>
    );
  }
  return <div className="loading" aria-busy="true" />;
}
