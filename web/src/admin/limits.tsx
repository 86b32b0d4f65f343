/** Who may do more or less than the settings say for all. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { LimitsOfAll, LimitsShown, UsualLimits } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import { MILLIONTHS } from "../parts/money.ts";
import { Field, type Filled, Form } from "./form.tsx";
import { usePrices } from "./models.tsx";
import { toMillionths } from "./prices.ts";
import { Row, Rows } from "./row.tsx";
import { Section } from "./section.tsx";
import { useNumbers } from "./times.ts";
import { useAdminWords } from "./words.ts";

const LIMITS = ["admin", "limits"];
const USUAL = ["admin", "usual-limits"];
const COUNTED = [
  "turns_a_minute",
  "replies_at_once",
  "sockets_at_once",
  "tokens_a_day",
  "tokens_a_month",
] as const;
const ALL = [...COUNTED, "money_a_month"] as const;

type Spell = (name: (typeof ALL)[number], most: number) => string;

export function Limits() {
  const t = useAdminWords();
  const numbers = useNumbers();
  const queries = useQueryClient();
  const limits = useQuery({
    queryKey: LIMITS,
    queryFn: () => ask<LimitsShown[]>("GET", "api/admin/limits"),
    staleTime: 0,
  });
  const usual = useQuery({
    queryKey: USUAL,
    queryFn: () => ask<LimitsOfAll>("GET", "api/admin/usual-limits"),
  }).data;
  const currency = usePrices().data?.currency ?? "";
  const [open, setOpen] = useState<LimitsShown | "new" | null>(null);
  const anew = () => queries.invalidateQueries({ queryKey: LIMITS });
  const clear = (given: LimitsShown) =>
    ask("PUT", `api/admin/limits/${given.user_id}`, {}).then(anew, sayRefused);
  const spell: Spell = (name, most) => {
    if (most === 0) return t("no_limit");
    return name === "money_a_month" ? numbers.money(most, currency) : numbers.whole(most);
  };
  const spelled = (given: LimitsShown) =>
    ALL.flatMap((name) => {
      const most = given[name] ?? null;
      return most === null ? [] : [`${t(name)}: ${spell(name, most)}`];
    }).join(" · ");
  const spelledUsual = (of: UsualLimits) =>
    ALL.filter((name) => of[name] !== 0)
      .map((name) => `${t(name)}: ${spell(name, of[name])}`)
      .join(" · ") || t("no_limit");
  return (
    <Section
      title={t("limits")}
      what={t("limits.what")}
      actions={
        <button type="button" className="button primary" onClick={() => setOpen("new")}>
          <Icon name="new" />
          {t("limits.new")}
        </button>
      }
    >
      {usual !== undefined && (
        <div>
          <p className="quiet">{t("limits.person", { limits: spelledUsual(usual.person) })}</p>
          <p className="quiet">{t("limits.app", { limits: spelledUsual(usual.app) })}</p>
        </div>
      )}
      <Fetched query={limits}>
        {(all) => (
          <Rows none={t("limits.none")}>
            {all.map((given) => (
              <Row
                key={given.user_id}
                name={given.app === null ? given.name : t("limits.of", { name: given.name, app: given.app })}
                badges={[given.kind !== "person" && ["plain", t(`kind.${given.kind}`)]]}
                items={[
                  { label: t("edit"), icon: "edit", run: () => setOpen(given) },
                  { label: t("limits.clear"), icon: "retry", run: () => clear(given) },
                ]}
              >
                <p>{spelled(given)}</p>
              </Row>
            ))}
          </Rows>
        )}
      </Fetched>
      {open !== null && (
        <LimitsForm
          given={open === "new" ? null : open}
          usual={usual}
          spell={spell}
          currency={currency}
          onClose={() => setOpen(null)}
          onChange={anew}
        />
      )}
    </Section>
  );
}

interface LimitsFormProps {
  given: LimitsShown | null;
  usual: LimitsOfAll | undefined;
  spell: Spell;
  currency: string;
  onClose: () => void;
  onChange: () => Promise<void>;
}

function LimitsForm({ given, usual, spell, currency, onClose, onChange }: LimitsFormProps) {
  const t = useAdminWords();
  const otherwise = (name: (typeof ALL)[number]) => {
    if (usual === undefined) return t("limits.default");
    const [person, app] = [spell(name, usual.person[name]), spell(name, usual.app[name])];
    if (given === null && person !== app) return t("limits.default.both", { person, app });
    return t("limits.default.is", { limit: given?.kind === "app" ? app : person });
  };
  const save = async (filled: Filled) => {
    const named = given?.user_id ?? filled.text("user");
    const money = filled.text("money_a_month");
    const body = Object.fromEntries(COUNTED.map((name) => [name, filled.number(name)]));
    await ask("PUT", `api/admin/limits/${encodeURIComponent(named)}`, {
      ...body,
      money_a_month: money === "" ? null : toMillionths(money),
    });
    await onChange();
    onClose();
  };
  const money = given?.money_a_month ?? null;
  return (
    <Dialog title={given === null ? t("limits.new") : given.name} onClose={onClose} side>
      <p className="quiet">{t("limits.how")}</p>
      <Form save={save} onCancel={onClose} go={t("save")} about="user">
        {given === null && (
          <Field
            name="user"
            label={t("limits.user")}
            hint={t("limits.user.hint")}
            required
            most={250}
            plain
          />
        )}
        {COUNTED.map((name) => (
          <Field
            key={name}
            name={name}
            label={t(name)}
            value={given?.[name]}
            placeholder={otherwise(name)}
            type="number"
            min={0}
          />
        ))}
        <Field
          name="money_a_month"
          label={`${t("money_a_month")}${currency && ` (${currency})`}`}
          value={money === null ? null : money / MILLIONTHS}
          placeholder={otherwise("money_a_month")}
          type="number"
          min={0}
          step="any"
        />
      </Form>
    </Dialog>
  );
}
