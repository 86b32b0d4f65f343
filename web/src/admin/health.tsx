/** How the server does just now, and the LLM servers behind it. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ask, Refused } from "../api/http.ts";
import { useHealth } from "../api/queries.ts";
import type { CallerStats } from "../api/schema.ts";
import { Badge, type Tone } from "./row.tsx";
import { Section } from "./section.tsx";
import { healthOf, useServers } from "./servers.tsx";
import { useNumbers, useTimes } from "./times.ts";
import { type AdminWord, useAdminWords } from "./words.ts";

const LOOK_EVERY = 10_000;

type Readiness = "ready" | "unavailable" | "away";

async function readiness(): Promise<Readiness> {
  try {
    await ask("GET", "ready");
    return "ready";
  } catch (error) {
    return error instanceof Refused && error.status === 503 ? "unavailable" : "away";
  }
}

export function Health() {
  const t = useAdminWords();
  const numbers = useNumbers();
  const times = useTimes();
  const ready = useQuery({
    queryKey: ["admin", "ready"],
    queryFn: readiness,
    refetchInterval: LOOK_EVERY,
    staleTime: 0,
  });
  const llm = useHealth().data;
  const servers = useServers().data ?? [];
  const stats = useQuery({
    queryKey: ["admin", "stats"],
    queryFn: () => ask<CallerStats>("GET", "ai-chat/api/health/stats/"),
    staleTime: 0,
  }).data;
  const state = ready.data;
  const llmState = llm && (llm.llm_server_healthy ? "good" : llm.llm_server_url === null ? "none" : "bad");
  return (
    <Section title={t("health")} what={t("health.what")}>
      <ul className="health" aria-live="polite">
        <Light
          name={t("health.server")}
          tone={state === undefined ? "plain" : state === "ready" ? "good" : "bad"}
          words={state === undefined ? "…" : t(`ready.${state}` as AdminWord)}
        />
        <Light
          name={t("health.models")}
          tone={llmState === undefined ? "plain" : llmState === "none" ? "warn" : llmState}
          words={llmState === undefined ? "…" : t(`llm.${llmState}` as AdminWord)}
        />
        {servers.map((server) => {
          const [tone, words] = healthOf(server, t);
          const isAsked = server.breaker === "closed";
          return (
            <Light
              key={server.name}
              name={t("health.one", { name: server.name })}
              tone={isAsked ? tone : "warn"}
              words={isAsked ? words : t(`breaker.${server.breaker}` as AdminWord)}
              more={server.running === 0 ? "" : t("server.running", { n: server.running })}
            />
          );
        })}
      </ul>
      <p>
        <Link href="/administration/servers">{t("health.to_servers")}</Link>
      </p>
      {stats && (
        <dl className="totals">
          <div>
            <dt>{t("stats.sessions")}</dt>
            <dd>{numbers.whole(stats.total_sessions)}</dd>
          </div>
          <div>
            <dt>{t("stats.messages")}</dt>
            <dd>{numbers.whole(stats.total_messages)}</dd>
          </div>
          {stats.favorite_model && (
            <div>
              <dt>{t("stats.favorite")}</dt>
              <dd>{stats.favorite_model.model_name}</dd>
            </div>
          )}
          {llm?.timestamp && (
            <div>
              <dt>{t("stats.last")}</dt>
              <dd>{times.moment(llm.timestamp)}</dd>
            </div>
          )}
        </dl>
      )}
      <p className="quiet">{t("health.more")}</p>
    </Section>
  );
}

function Light({ name, tone, words, more }: { name: string; tone: Tone; words: string; more?: string }) {
  return (
    <li>
      <strong>{name}</strong>
      <Badge tone={tone} words={words} />
      {more && <small>{more}</small>}
    </li>
  );
}
