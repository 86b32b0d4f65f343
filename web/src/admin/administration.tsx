/** What admins look after: one page with a section for each noun, all of it by the admin API. */

import { type ReactElement, Suspense, useEffect, useRef } from "react";
import { Link } from "wouter";
import { useIsAdmin } from "../people/people.ts";
import { useMoreWords } from "../words/more.ts";
import "./admin.css";
import { showTitle } from "../parts/title.ts";
import { Apps } from "./apps.tsx";
import { Deliveries } from "./deliveries.tsx";
import { Health } from "./health.tsx";
import { Limits } from "./limits.tsx";
import { Models } from "./models.tsx";
import { AllPresets } from "./presets.tsx";
import { Servers } from "./servers.tsx";
import { Usage } from "./usage.tsx";
import { Users } from "./users.tsx";
import { useAdminWords } from "./words.ts";

const SECTIONS = {
  users: Users,
  apps: Apps,
  servers: Servers,
  models: Models,
  presets: AllPresets,
  limits: Limits,
  usage: Usage,
  deliveries: Deliveries,
  health: Health,
} as const satisfies Readonly<Record<string, () => ReactElement>>;

type SectionName = keyof typeof SECTIONS;

const NAMES = Object.keys(SECTIONS) as SectionName[];

export default function Administration({ section }: { section: string | undefined }) {
  const t = useAdminWords();
  // Its forms say them. A sheet that waits for them would have the section behind it hidden.
  useMoreWords();
  const isAdmin = useIsAdmin();
  const shown = NAMES.find((name) => name === section) ?? "users";
  useEffect(() => {
    showTitle(`${t(shown)} · ${t("administration")}`);
  }, [t, shown]);
  const sections = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone they do not all fit.
    sections.current
      ?.querySelector(`[href$="/${shown}"]`)
      ?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [shown]);
  if (isAdmin === undefined) return <main aria-busy="true" />;
  if (!isAdmin) {
    return (
      <main className="empty">
        <h1>{t("admins.only")}</h1>
      </main>
    );
  }
  const Section = SECTIONS[shown];
  return (
    <main className="admin">
      <div className="admin-inside">
        <h1>{t("administration")}</h1>
        <nav ref={sections} className="admin-sections" aria-label={t("administration")}>
          {NAMES.map((name) => (
            <Link
              key={name}
              href={`/administration/${name}`}
              className={name === shown ? "active" : ""}
              aria-current={name === shown ? "page" : undefined}
            >
              {t(name)}
            </Link>
          ))}
        </nav>
        <Suspense fallback={<div aria-busy="true" />}>
          <Section key={shown} />
        </Suspense>
      </div>
    </main>
  );
}
