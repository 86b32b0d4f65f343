/** What was used and what it cost: by day, by user, by model. */

import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { addressOf, ask } from "../api/http.ts";
import type { UsageReport, UsedByShown } from "../api/schema.ts";
import { Columns } from "../parts/columns.tsx";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import { Segments } from "../parts/segments.tsx";
import { fillDays, PERIODS, type Period, type PeriodName, periodOf } from "./periods.ts";
import { Ranks } from "./ranks.tsx";
import { Section } from "./section.tsx";
import { useNumbers, useTimes } from "./times.ts";
import { type Say, useAdminWords } from "./words.ts";

const METRICS = ["total_tokens", "cost", "turns"] as const;
const CUTS = ["user", "model"] as const;

type Metric = (typeof METRICS)[number];
type By = "day" | (typeof CUTS)[number];

function addressOfUsage(period: Period, by: By, ending = ""): string {
  return `api/admin/usage${ending}?${new URLSearchParams({ from: period.from, to: period.to, by })}`;
}

function useUsage(period: Period, by: By) {
  return useQuery({
    queryKey: ["admin", "usage", period.from, period.to, by],
    queryFn: () => ask<UsageReport>("GET", addressOfUsage(period, by)),
    placeholderData: (before) => before,
    staleTime: 0,
  });
}

export function Usage() {
  const t = useAdminWords();
  const [name, setName] = useState<PeriodName>("days30");
  const [metric, setMetric] = useState<Metric>("total_tokens");
  const period = periodOf(name, new Date());
  return (
    <Section
      title={t("usage")}
      what={t("usage.what")}
      actions={
        <>
          <label className="field">
            <span className="visually-hidden">{t("period")}</span>
            <select value={name} onChange={(event) => setName(event.target.value as PeriodName)}>
              {PERIODS.map((one) => (
                <option key={one} value={one}>
                  {t(`period.${one}`)}
                </option>
              ))}
            </select>
          </label>
          <Segments
            label={t("metric")}
            chosen={metric}
            options={METRICS.map((one) => [one, t(`metric.${one}`)] as const)}
            onChoose={setMetric}
          />
        </>
      }
    >
      <ByDay period={period} metric={metric} />
      <div className="cuts">
        {CUTS.map((by) => (
          <ByName key={by} by={by} period={period} metric={metric} />
        ))}
      </div>
    </Section>
  );
}

/** How figures of a metric are written. */
function useSpelling(metric: Metric, currency: string) {
  const numbers = useNumbers();
  const money = (figure: number) => numbers.money(figure, currency);
  return metric === "cost" ? { short: money, whole: money } : { short: numbers.short, whole: numbers.whole };
}

function ByDay({ period, metric }: { period: Period; metric: Metric }) {
  const t = useAdminWords();
  const times = useTimes();
  const usage = useUsage(period, "day");
  const spelled = useSpelling(metric, usage.data?.currency ?? "");
  return (
    <Fetched query={usage}>
      {({ rows, total, currency }) => (
        <>
          <Totals total={total} currency={currency} />
          <Chart title={t("by.day")} csv={addressOfUsage(period, "day", ".csv")} cut={t("by.day")}>
            <Columns
              label={t("usage.chart", { metric: t(`metric.${metric}`), cut: t("by.day") })}
              heads={[t("day"), t(`metric.${metric}`)]}
              figures={fillDays(period, rows).map((row) => ({
                name: times.date(row.day),
                figure: row[metric],
              }))}
              spell={spelled}
            />
          </Chart>
        </>
      )}
    </Fetched>
  );
}

function ByName({ by, period, metric }: { by: (typeof CUTS)[number]; period: Period; metric: Metric }) {
  const t = useAdminWords();
  const usage = useUsage(period, by);
  const spelled = useSpelling(metric, usage.data?.currency ?? "");
  const cut = t(`by.${by}`);
  return (
    <Chart title={cut} csv={addressOfUsage(period, by, ".csv")} cut={cut}>
      <Fetched query={usage}>
        {({ rows }) => (
          <Ranks
            label={t("usage.chart", { metric: t(`metric.${metric}`), cut })}
            heads={[t(by), t(`metric.${metric}`)]}
            figures={rows.map((row) => ({ name: nameOf(row, t), figure: row[metric] }))}
            spell={spelled}
          />
        )}
      </Fetched>
    </Chart>
  );
}

function nameOf({ key, name, app }: UsedByShown, t: Say): string {
  if (name !== null) return app === null ? name : t("limits.of", { name, app });
  if (key === null) return t("usage.nobody");
  return typeof key === "number" ? t("usage.erased", { key }) : key;
}

function Totals({ total, currency }: { total: UsageReport["total"]; currency: string }) {
  const t = useAdminWords();
  const numbers = useNumbers();
  return (
    <dl className="totals">
      <div>
        <dt>{t("metric.turns")}</dt>
        <dd>{numbers.whole(total.turns)}</dd>
      </div>
      <div>
        <dt>{t("metric.total_tokens")}</dt>
        <dd>{numbers.whole(total.total_tokens)}</dd>
      </div>
      <div>
        <dt>{t("tokens.read")}</dt>
        <dd>{numbers.whole(total.prompt_tokens)}</dd>
      </div>
      <div>
        <dt>{t("tokens.written")}</dt>
        <dd>{numbers.whole(total.completion_tokens)}</dd>
      </div>
      <div>
        <dt>{t("metric.cost")}</dt>
        <dd>{numbers.money(total.cost, currency)}</dd>
      </div>
    </dl>
  );
}

interface ChartProps {
  title: string;
  csv: string;
  cut: string;
  children: ReactNode;
}

function Chart({ title, csv, cut, children }: ChartProps) {
  const t = useAdminWords();
  return (
    <section className="cut" aria-label={title}>
      <header>
        <h3>{title}</h3>
        <a
          className="button small"
          href={addressOf(csv).href}
          download
          aria-label={t("csv.name", { name: cut })}
        >
          <Icon name="down" />
          {t("csv")}
        </a>
      </header>
      {children}
    </section>
  );
}
