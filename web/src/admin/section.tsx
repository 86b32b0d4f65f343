/** One section of the page: what it is about, what can be done in it, and what there is. */

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { wordsOf } from "../api/refused.ts";

interface SectionProps {
  title: string;
  what: string;
  actions?: ReactNode;
  children: ReactNode;
}

export function Section({ title, what, actions, children }: SectionProps) {
  return (
    <section className="admin-section" aria-label={title}>
      <header>
        <div>
          <h2>{title}</h2>
          <p className="quiet">{what}</p>
        </div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface FetchedProps<T> {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}

/** What was asked for, once it is there; or why it is not. */
export function Fetched<T>({ query, children }: FetchedProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) {
    return (
      <p className="notice warn" role="alert">
        {wordsOf(query.error)}
      </p>
    );
  }
  return <div aria-busy="true" />;
}
