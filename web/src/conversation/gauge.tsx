/** What the bot sees of a conversation, and what that costs. */

import { useModels } from "../api/queries.ts";
import type { MessageShown } from "../api/schema.ts";
import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { filled } from "./room.ts";
import type { Settings } from "./story.ts";

interface GaugeProps {
  conversation: string;
  messages: readonly MessageShown[];
  settings: Settings;
}

export function Gauge({ messages, settings }: GaugeProps) {
  const t = useMoreWords();
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
