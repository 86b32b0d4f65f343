/** How the server does just now, and the LLM servers behind it. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ask, Refused } from "../api/http.ts";
import { useHealth } from "../api/queries.ts";
import type { ServerShown } from "../api/schema.ts";
import { Badge, type Tone } from "./row.tsx";
import { Section } from "./section.tsx";
import { healthOf, useServers } from "./servers.tsx";
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
  const ready = useQuery({
    queryKey: ["admin", "ready"],
    queryFn: readiness,
    refetchInterval: LOOK_EVERY,
    staleTime: 0,
  });
  const health = useHealth();
  const servers = useServers();
  const state = ready.data;
  const llm = health.data;
  const llmState = llm && (llm.llm_server_healthy ? "good" : llm.llm_server_url === null ? "none" : "bad");
  const unknown = { tone: "bad", words: t("health.unknown") } as const;
  return (
    <Section title={t("health")} what={t("health.what")}>
      <ul className="lights" aria-live="polite">
        <Light
          name={t("health.server")}
          tone={state === undefined ? "plain" : state === "ready" ? "good" : "bad"}
          words={state === undefined ? "…" : t(`ready.${state}` as AdminWord)}
        />
        {health.isError ? (
          <Light name={t("health.models")} {...unknown} />
        ) : (
          <Light
            name={t("health.models")}
            tone={llmState === undefined ? "plain" : llmState === "none" ? "warn" : llmState}
            words={llmState === undefined ? "…" : t(`llm.${llmState}` as AdminWord)}
          />
        )}
        {servers.isError ? (
          <Light name={t("servers")} {...unknown} />
        ) : (
          servers.data?.map((server) => <ServerLight key={server.name} server={server} />)
        )}
      </ul>
      <p>
        <Link href="/administration/servers">{t("health.to_servers")}</Link>
      </p>
      <p className="quiet">{t("health.more")}</p>
    </Section>
  );
}

function ServerLight({ server }: { server: ServerShown }) {
  const t = useAdminWords();
  const [tone, words] = healthOf(server, t);
  const isAsked = server.breaker === "closed";
  return (
    <Light
      name={t("health.one", { name: server.name })}
      tone={isAsked ? tone : "warn"}
      words={isAsked ? words : t(`breaker.${server.breaker}` as AdminWord)}
      more={server.running === 0 ? "" : t("server.running", { n: server.running })}
    />
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
