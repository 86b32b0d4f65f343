/** What one has used here, what it cost, and what is left. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import type {
  DaysOfUsage,
  LeftShown,
  OwnUsage as OwnUsageShown,
  UsedOnDay,
  UsedShown,
} from "../api/schema.ts";
import { Columns } from "../parts/columns.tsx";
import { lastDays, sumUp } from "../parts/days.ts";
import { Fetched } from "../parts/fetched.tsx";
import { money } from "../parts/money.ts";
import { Segments } from "../parts/segments.tsx";
import { language } from "../words/index.ts";
import { type MoreWord, useMoreWords } from "../words/more.ts";

export function OwnUsage() {
  const t = useMoreWords();
  const usage = useQuery({
    queryKey: ["usage"],
    queryFn: () => ask<OwnUsageShown>("GET", "api/usage"),
    staleTime: 0,
  });
  return (
    <section className="panel" aria-labelledby="own-usage">
      <h2 id="own-usage">{t("own_usage")}</h2>
      <Fetched query={usage}>
        {({ today, this_month, budget, currency }) => (
          <>
            <div className="tiles">
              <Tile title={t("day.today")} used={today} currency={currency} />
              <Tile title={t("own_usage.month")} used={this_month} currency={currency} />
            </div>
            {budget.map((left) => (
              <Left key={left.limit} left={left} currency={currency} />
            ))}
          </>
        )}
      </Fetched>
      <OverTime />
    </section>
  );
}

const SPANS = [7, 30, 90] as const;
type Count = "tokens" | "cost";

/** By day, of the last days; and by model, where there are several. */
function OverTime() {
  const t = useMoreWords();
  const [span, setSpan] = useState<(typeof SPANS)[number]>(30);
  const [count, setCount] = useState<Count>("tokens");
  const days = lastDays(span, new Date());
  const { data, isError } = useQuery({
    queryKey: ["usage", days[0], days.at(-1)],
    queryFn: () => ask<DaysOfUsage>("GET", `api/usage/days?from=${days[0]}&to=${days.at(-1)}`),
    staleTime: 0,
    placeholderData: keepPreviousData,
  });
  if (isError) return <p className="quiet">{t("offline.try")}</p>;
  if (data === undefined) return <div className="loading" aria-busy="true" />;
  const counted = (row: UsedShown) => (count === "cost" ? row.cost : row.total_tokens);
  const spell = (amount: number) =>
    count === "cost"
      ? money(amount, data.currency, language())
      : new Intl.NumberFormat(language()).format(amount);
  const short = new Intl.NumberFormat(language(), { notation: "compact", maximumFractionDigits: 1 });
  const date = new Intl.DateTimeFormat(language(), { day: "numeric", month: "short", timeZone: "UTC" });
  const title = t(count === "cost" ? "cost.a_day" : "tokens.a_day");
  return (
    <>
      <div className="spans">
        <Segments
          label={t("span")}
          chosen={String(span)}
          options={SPANS.map((one) => [String(one), t("token.life.days", { n: one })] as const)}
          onChoose={(one) => setSpan(SPANS.find((known) => String(known) === one) ?? span)}
        />
        {data.total.cost > 0 && (
          <Segments
            label={t("span.count")}
            chosen={count}
            options={[
              ["tokens", t("tokens.counted")],
              ["cost", t("cost")],
            ]}
            onChoose={setCount}
          />
        )}
      </div>
      <p className="quiet">
        {title} <strong>{spell(data.rows.reduce((sum, row) => sum + counted(row), 0))}</strong>
      </p>
      <Columns
        label={title}
        heads={[t("day"), t(count === "cost" ? "cost" : "tokens.counted")]}
        figures={sumUp(days, data.rows, counted).map(({ day, value }) => ({
          name: date.format(new Date(day)),
          figure: value,
        }))}
        spell={{ short: count === "cost" ? spell : short.format, whole: spell }}
      />
      <ByModel rows={data.rows} counted={counted} spell={spell} />
    </>
  );
}

interface ByModelProps {
  rows: readonly UsedOnDay[];
  counted: (row: UsedShown) => number;
  spell: (amount: number) => string;
}

function ByModel({ rows, counted, spell }: ByModelProps) {
  const t = useMoreWords();
  const sums = new Map<string, number>();
  for (const row of rows) {
    const model = row.model ?? t("model.unknown");
    sums.set(model, (sums.get(model) ?? 0) + counted(row));
  }
  const sorted = [...sums].sort(([, one], [, other]) => other - one);
  if (sorted.length < 2) return null;
  return (
    <dl className="by-model" aria-label={t("by_model")}>
      {sorted.map(([model, sum]) => (
        <div key={model}>
          <dt>{model}</dt>
          <dd>{spell(sum)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Tile({ title, used, currency }: { title: string; used: UsedShown; currency: string }) {
  const t = useMoreWords();
  const number = new Intl.NumberFormat(language()).format;
  return (
    <div className="tile">
      <h3>{title}</h3>
      <strong>{t("tokens", { n: used.total_tokens, number: number(used.total_tokens) })}</strong>
      <small>
        {t("own_usage.turns", { n: used.turns })}
        {used.cost > 0 && ` · ${money(used.cost, currency, language())}`}
      </small>
    </div>
  );
}

const LIMITS: Readonly<Record<string, MoreWord>> = {
  tokens_a_day: "limit.tokens_a_day",
  tokens_a_month: "limit.tokens_a_month",
  money_a_month: "limit.money_a_month",
};

/** How much of a budget is used, and when there is a new one. */
function Left({ left, currency }: { left: LeftShown; currency: string }) {
  const t = useMoreWords();
  const word = LIMITS[left.limit];
  if (word === undefined || left.most <= 0) return null;
  const used = Math.max(0, left.most - left.left);
  const spell = (amount: number) =>
    left.limit === "money_a_month"
      ? money(amount, currency, language())
      : new Intl.NumberFormat(language()).format(amount);
  const day = new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" });
  return (
    <div className="gauge">
      <h3>{t(word)}</h3>
      <meter min={0} max={left.most} high={left.most * 0.8} value={used} aria-label={t(word)} />
      <p>
        {t("limit.left", {
          left: spell(left.left),
          most: spell(left.most),
          time: day.format(new Date(left.renewed_at)),
        })}
      </p>
    </div>
  );
}
