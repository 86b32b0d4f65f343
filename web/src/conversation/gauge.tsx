/** What the bot sees of a conversation, and what that costs. */

import { useModels } from "../api/queries.ts";
import type { MessageShown } from "../api/schema.ts";
import { language, useWords } from "../words/index.ts";
import { filled } from "./room.ts";
import type { Settings } from "./story.ts";

interface GaugeProps {
  conversation: string;
  messages: readonly MessageShown[];
  settings: Settings;
}

export function Gauge({ messages, settings }: GaugeProps) {
  const t = useWords();
  const models = useModels().data ?? [];
  const found = filled(messages, models, settings.token_budget);
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
        </>
      )}
    </section>
  );
}

/** The same in the head of the conversation, no larger than a letter. */
export function SmallGauge({ messages, settings }: Pick<GaugeProps, "messages" | "settings">) {
  const t = useWords();
  const models = useModels().data ?? [];
  const share = filled(messages, models, settings.token_budget)?.share ?? null;
  if (share === null) return null;
  const percent = new Intl.NumberFormat(language(), { style: "percent" }).format(share);
  const words = t("usage.short", { share: percent });
  return (
    <span className={share > 0.8 ? "ring full" : "ring"} title={words}>
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="8" pathLength="100" />
        <circle cx="10" cy="10" r="8" pathLength="100" strokeDasharray={`${share * 100} 100`} />
      </svg>
      <span className="visually-hidden">{words}</span>
    </span>
  );
}
