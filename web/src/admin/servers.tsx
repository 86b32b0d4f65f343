/** The LLM servers: how each does, and those that were added here. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { ServerShown } from "../api/schema.ts";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import type { Item } from "../parts/menu.tsx";
import { Sure } from "../parts/sure.tsx";
import { say } from "../parts/toasts.ts";
import { Row, Rows, type Tone } from "./row.tsx";
import { Section } from "./section.tsx";
import { ServerForm } from "./server_form.tsx";
import { SERVERS, syncModels, testServer, trialWords, useAnew } from "./serving.ts";
import { useNumbers } from "./times.ts";
import { type AdminWord, useAdminWords } from "./words.ts";

const LOOK_EVERY = 10_000;
const SHOWN_MODELS = 6;

type Open = "new" | { edit: ServerShown } | { remove: ServerShown } | null;

export function useServers() {
  return useQuery({
    queryKey: SERVERS,
    queryFn: () => ask<ServerShown[]>("GET", "api/admin/servers"),
    refetchInterval: LOOK_EVERY,
    staleTime: 0,
  });
}

export function Servers() {
  const t = useAdminWords();
  const anew = useAnew();
  const servers = useServers();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const sync = async () => {
    try {
      say((await syncModels()).message);
    } catch (error) {
      sayRefused(error);
    }
    await anew();
  };
  return (
    <Section
      title={t("servers")}
      what={t("servers.what")}
      actions={
        <>
          <button type="button" className="button" onClick={sync}>
            <Icon name="retry" />
            {t("servers.sync")}
          </button>
          <button type="button" className="button primary" onClick={() => setOpen("new")}>
            <Icon name="new" />
            {t("server.new")}
          </button>
        </>
      }
    >
      <Fetched query={servers}>
        {(all) => (
          <Rows none={t("servers.none")}>
            {all.map((server) => (
              <ServerRow key={server.name} server={server} onOpen={setOpen} />
            ))}
          </Rows>
        )}
      </Fetched>
      {open === "new" && <ServerForm server={null} onClose={close} />}
      {open !== null && open !== "new" && "edit" in open && <ServerForm server={open.edit} onClose={close} />}
      {open !== null && open !== "new" && "remove" in open && (
        <Sure
          title={t("server.remove.title", { name: open.remove.name })}
          what={t("server.remove.what")}
          go={t("remove")}
          run={() => ask("DELETE", `api/admin/servers/${open.remove.name}`).then(anew)}
          onClose={close}
        />
      )}
    </Section>
  );
}

function ServerRow({ server, onOpen }: { server: ServerShown; onOpen: (open: Open) => void }) {
  const t = useAdminWords();
  const number = useNumbers().whole;
  const anew = useAnew();
  const test = async () => {
    try {
      say(`${server.name}: ${trialWords(t, await testServer(server.name))}`);
    } catch (error) {
      sayRefused(error);
    }
    await anew();
  };
  const own: (Item | "line")[] = [
    { label: t("edit"), icon: "edit", run: () => onOpen({ edit: server }) },
    "line",
    { label: t("remove.more"), icon: "trash", danger: true, run: () => onOpen({ remove: server }) },
  ];
  const more = server.offers.length - SHOWN_MODELS;
  return (
    <Row
      name={server.name}
      badges={[
        healthOf(server, t),
        server.breaker !== "closed" && ["warn", t(`breaker.${server.breaker}` as AdminWord)],
        server.origin !== "admin" && ["plain", t(`origin.${server.origin}` as AdminWord)],
      ]}
      items={[
        { label: t("server.test"), icon: "retry", run: test },
        ...(server.origin === "admin" ? own : []),
      ]}
    >
      <p className="address">{server.url}</p>
      <p>
        {[
          server.running === 0 ? "" : t("server.running", { n: server.running }),
          server.most_at_once === null ? "" : t("server.most", { n: server.most_at_once }),
          server.weight === 1 ? "" : t("server.weighs", { weight: number(server.weight) }),
          server.has_key ? t("server.has_key") : "",
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
      <p>
        {server.offers.length === 0
          ? t("server.offers.none")
          : t("server.offers", { names: server.offers.slice(0, SHOWN_MODELS).join(", ") })}
        {more > 0 && ` ${t("and.more", { n: more })}`}
      </p>
    </Row>
  );
}

export function healthOf(server: ServerShown, t: ReturnType<typeof useAdminWords>): readonly [Tone, string] {
  if (server.healthy === null) return ["plain", t("healthy.unasked")];
  return server.healthy ? ["good", t("healthy")] : ["bad", t("healthy.not")];
}
