/** How one is reached while one is away, and whether others see that one is there. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { TargetList, TargetShown, WishesShown } from "../api/schema.ts";
import { useWordsOfPeople } from "../connections/words.ts";
import { KeptSwitch } from "../parts/kept_switch.tsx";
import { Switch } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { language } from "../words/index.ts";
import { canBeNotified, idHere, register, TARGETS, unregister } from "./device.ts";

const ME = "api/notifications/me";
const PRESENCE = "api/people/me";

export function Reached() {
  const t = useWordsOfPeople();
  const queries = useQueryClient();
  const [here, setHere] = useState(idHere);
  const [busy, setBusy] = useState(false);
  const reached = useQuery({
    queryKey: ["reached"],
    queryFn: () => ask<WishesShown>("GET", ME),
    staleTime: 0,
  });
  const presence = useQuery({
    queryKey: ["presence"],
    queryFn: () => ask<{ shows_presence: boolean }>("GET", PRESENCE),
    staleTime: 0,
  });
  const targets = useQuery({
    queryKey: ["targets"],
    queryFn: async () => (await ask<TargetList>("GET", TARGETS)).targets,
    staleTime: 0,
  });
  const isHere = here !== null && targets.data?.some(({ id }) => id === here) === true;
  const isDenied = canBeNotified() && Notification.permission === "denied";
  const look = async () => {
    setHere(idHere());
    await queries.invalidateQueries({ queryKey: ["targets"] });
  };
  const switchHere = async (on: boolean) => {
    setBusy(true);
    try {
      if (!on) await unregister();
      else if (!(await register())) say(t("reach.denied"));
    } catch (error) {
      // Browsers say in many ways that their push service is not to be had.
      if (error instanceof DOMException) say(t("reach.failed"));
      else sayRefused(error);
    }
    setBusy(false);
    await look();
  };
  const change = async (path: string, key: string, changes: Record<string, boolean>) => {
    queries.setQueryData([key], await ask("PATCH", path, changes));
  };
  const forget = async (target: TargetShown) => {
    await (target.id === here ? unregister() : ask("DELETE", `${TARGETS}/${target.id}`)).catch(sayRefused);
    await look();
  };
  const day = new Intl.DateTimeFormat(language(), { dateStyle: "medium" });
  return (
    <section className="panel" aria-labelledby="reach">
      <h2 id="reach">{t("reach")}</h2>
      {presence.data !== undefined && (
        <KeptSwitch
          label={t("reach.presence")}
          what={t("reach.presence.what")}
          checked={presence.data.shows_presence}
          keep={(shows_presence) => change(PRESENCE, "presence", { shows_presence })}
        />
      )}
      {!canBeNotified() ? (
        <p className="quiet">{t("reach.unable")}</p>
      ) : isDenied ? (
        <p className="quiet">{t("reach.denied")}</p>
      ) : (
        <div aria-busy={busy}>
          <Switch
            label={t("reach.here")}
            what={t("reach.here.what")}
            checked={isHere}
            onChange={(on) => !busy && void switchHere(on)}
          />
        </div>
      )}
      {reached.data !== undefined && (
        <>
          <KeptSwitch
            label={t("reach.text")}
            what={t("reach.text.what")}
            checked={reached.data.shows_text}
            keep={(shows_text) => change(ME, "reached", { shows_text })}
          />
          {reached.data.channels.includes("mail") && (
            <KeptSwitch
              label={t("reach.email")}
              what={t("reach.email.what")}
              checked={reached.data.email}
              keep={(email) => change(ME, "reached", { email })}
            />
          )}
        </>
      )}
      <h3>{t("devices")}</h3>
      {targets.data?.length === 0 && <p className="quiet">{t("devices.none")}</p>}
      {targets.data !== undefined && targets.data.length > 0 && (
        <ul className="token-list">
          {targets.data.map((target) => (
            <li key={target.id}>
              <div>
                <strong>{target.label || target.kind}</strong>
                <small>
                  {target.id === here && `${t("device.here")} · `}
                  {target.last_sent_at === null
                    ? t("device.unsent")
                    : t("device.sent", { day: day.format(new Date(target.last_sent_at)) })}
                </small>
              </div>
              <button
                type="button"
                className="button small"
                aria-label={t("device.remove", { name: target.label || target.kind })}
                onClick={() => void forget(target)}
              >
                {t("remove")}
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
