/** One section of the page: what it is about, what can be done in it, and what there is. */

import type { ReactNode } from "react";

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
