/** What the bot sees of a conversation, and what that costs. */

import { useModels, useSessionUsage } from "../api/queries.ts";
import type { MessageShown } from "../api/schema.ts";
import { money } from "../parts/money.ts";
import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { filled, spent } from "./room.ts";
import type { Settings } from "./story.ts";

interface GaugeProps {
  /** The conversation. */
  id: string;
  messages: readonly MessageShown[];
  settings: Settings;
  /** There are older messages than these. */
  hasMore: boolean;
}

export function Gauge({ id, messages, settings, hasMore }: GaugeProps) {
  const t = useMoreWords();
  const models = useModels().data ?? [];
  const found = filled(messages, models, settings.token_budget);
  const all = spent(messages);
  const used = useSessionUsage(id).data;
  const number = new Intl.NumberFormat(language()).format;
  const percent = new Intl.NumberFormat(language(), { style: "percent" }).format;
  return (
    <section className="gauge" aria-label={t("usage")}>
      <h3>{t("usage")}</h3>
      {found === null ? (
        <p>{t("usage.none")}</p>
      ) : (
        <>
          {found.share !== null && found.room !== null && (
            <>
              <meter
                min={0}
                max={1}
                high={0.8}
                value={found.share}
                aria-label={t("usage.room")}
                aria-valuetext={percent(found.share)}
              />
              <p>{t("usage.of", { share: percent(found.share), room: number(found.room) })}</p>
            </>
          )}
          <p>{t("usage.what", { read: number(found.read), written: number(found.written) })}</p>
          <p>
            {t(hasMore ? "usage.shown" : "usage.whole", {
              n: all.answers,
              read: number(all.read),
              written: number(all.written),
            })}
          </p>
        </>
      )}
      {used !== undefined && used.cost > 0 && (
        <p>{t("usage.cost", { cost: money(used.cost, used.currency, language()) })}</p>
      )}
    </section>
  );
}
