/** Applications, and the tokens by which they sign in. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { AppShown, AppTokenAdded, AppTokenShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import { Sure } from "../parts/sure.tsx";
import { Field, type Filled, Form } from "./form.tsx";
import { Row, Rows } from "./row.tsx";
import { Secret } from "./secret.tsx";
import { Section } from "./section.tsx";
import { useTimes } from "./times.ts";
import { useAdminWords } from "./words.ts";

const APPS = ["admin", "apps"];

type Open = "new" | { tokens: AppShown } | { erase: AppShown } | null;

export function Apps() {
  const t = useAdminWords();
  const times = useTimes();
  const queries = useQueryClient();
  const apps = useQuery({ queryKey: APPS, queryFn: () => ask<AppShown[]>("GET", "api/admin/apps") });
  const [open, setOpen] = useState<Open>(null);
  const anew = () => queries.invalidateQueries({ queryKey: APPS });
  const close = () => setOpen(null);
  const setDisabled = (app: AppShown) =>
    ask("PATCH", pathOf(app), { disabled: !app.disabled }).then(anew, sayRefused);
  const add = async (filled: Filled) => {
    const app = await ask<AppShown>("POST", "api/admin/apps", { name: filled.text("name") });
    await anew();
    setOpen({ tokens: app });
  };
  return (
    <Section
      title={t("apps")}
      what={t("apps.what")}
      actions={
        <button type="button" className="button primary" onClick={() => setOpen("new")}>
          <Icon name="new" />
          {t("app.new")}
        </button>
      }
    >
      <Fetched query={apps}>
        {(all) => (
          <Rows none={t("apps.none")}>
            {all.map((app) => (
              <Row
                key={app.app_id}
                name={app.name}
                badges={[app.disabled && ["bad", t("disabled")]]}
                items={[
                  { label: t("tokens"), icon: "link", run: () => setOpen({ tokens: app }) },
                  {
                    label: t(app.disabled ? "enable" : "disable"),
                    icon: app.disabled ? "check" : "stop",
                    run: () => setDisabled(app),
                  },
                  "line",
                  { label: t("erase.more"), icon: "trash", danger: true, run: () => setOpen({ erase: app }) },
                ]}
              >
                <p>{t("since", { day: times.day(app.created_at) })}</p>
              </Row>
            ))}
          </Rows>
        )}
      </Fetched>
      {open === "new" && (
        <Dialog title={t("app.new")} onClose={close}>
          <Form save={add} onCancel={close} go={t("add")} about="name">
            <Field name="name" label={t("app.name")} hint={t("app.name.hint")} required most={50} plain />
          </Form>
        </Dialog>
      )}
      {open !== null && open !== "new" && "tokens" in open && <Tokens app={open.tokens} onClose={close} />}
      {open !== null && open !== "new" && "erase" in open && (
        <Sure
          title={t("erase.title", { name: open.erase.name })}
          what={t("app.erase.what")}
          go={t("erase")}
          run={() => ask("DELETE", pathOf(open.erase)).then(anew)}
          onClose={close}
        />
      )}
    </Section>
  );
}

function pathOf(app: AppShown): string {
  return `api/admin/apps/${app.app_id}`;
}

function Tokens({ app, onClose }: { app: AppShown; onClose: () => void }) {
  const t = useAdminWords();
  const times = useTimes();
  const queries = useQueryClient();
  const path = `${pathOf(app)}/tokens`;
  const key = [...APPS, app.app_id, "tokens"];
  const tokens = useQuery({ queryKey: key, queryFn: () => ask<AppTokenShown[]>("GET", path) });
  const [made, setMade] = useState<AppTokenAdded | null>(null);
  const anew = () => queries.invalidateQueries({ queryKey: key });
  const add = async (filled: Filled) => {
    const body = { label: filled.text("label"), days: filled.number("days") ?? 0 };
    setMade(await ask<AppTokenAdded>("POST", path, body));
    await anew();
  };
  const revoke = (token: AppTokenShown) => {
    if (made?.id === token.id) setMade(null);
    return ask("DELETE", `${path}/${token.id}`).then(anew, sayRefused);
  };
  return (
    <Dialog title={t("tokens.of", { name: app.name })} onClose={onClose} side>
      {made && <Secret label={t("token")} text={made.token} what={t("token.once")} />}
      <Fetched query={tokens}>
        {(all) => (
          <Rows none={t("tokens.none")}>
            {all.map((token) => (
              <li key={token.id} className="admin-row">
                <div className="admin-row-words">
                  <h3>{token.label || t("token.unnamed", { id: token.id })}</h3>
                  <p>{lifeOf(token, t, times)}</p>
                </div>
                <button
                  type="button"
                  className="button small"
                  aria-label={t("token.revoke.name", { name: token.label || token.id })}
                  onClick={() => revoke(token)}
                >
                  {t("token.revoke")}
                </button>
              </li>
            ))}
          </Rows>
        )}
      </Fetched>
      <h3>{t("token.new")}</h3>
      <Form key={made?.id} save={add} go={t("token.make")}>
        <Field name="label" label={t("token.label")} placeholder={t("token.label.example")} most={100} />
        <Field name="days" label={t("token.days")} placeholder={t("token.forever")} type="number" min={0} />
      </Form>
    </Dialog>
  );
}

function lifeOf(
  token: AppTokenShown,
  t: ReturnType<typeof useAdminWords>,
  times: ReturnType<typeof useTimes>,
): string {
  const used =
    token.last_used_at === null
      ? t("token.unused")
      : t("token.used", { time: times.moment(token.last_used_at) });
  const ends =
    token.expires_at === null ? t("token.forever") : t("token.ends", { day: times.day(token.expires_at) });
  return `${used} · ${ends}`;
}
