/** What one has used here, what it cost, and what is left. */

import { useQuery } from "@tanstack/react-query";
import { ask } from "../api/http.ts";
import type { LeftShown, OwnUsage as OwnUsageShown, UsedShown } from "../api/schema.ts";
import { language } from "../words/index.ts";
import { type MoreWord, useMoreWords } from "../words/more.ts";
import { money } from "./money.ts";

export function OwnUsage() {
  const t = useMoreWords();
  const { data } = useQuery({
    queryKey: ["usage"],
    queryFn: () => ask<OwnUsageShown>("GET", "api/usage"),
    staleTime: 0,
  });
  if (data === undefined) return null;
  return (
    <section className="panel" aria-labelledby="own-usage">
      <h2 id="own-usage">{t("own_usage")}</h2>
      <div className="tiles">
        <Tile title={t("day.today")} used={data.today} currency={data.currency} />
        <Tile title={t("own_usage.month")} used={data.this_month} currency={data.currency} />
      </div>
      {data.budget.map((left) => (
        <Left key={left.limit} left={left} currency={data.currency} />
      ))}
    </section>
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
        {used.cost > 0 && ` · ${money(used.cost, currency)}`}
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
      ? money(amount, currency)
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
