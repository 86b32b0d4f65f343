import { useModels } from "../api/queries.ts";
import type { MessageShown } from "../api/schema.ts";
import { language, useWords } from "../words/index.ts";
import { filled } from "./room.ts";
import type { Settings } from "./story.ts";

interface SmallGaugeProps {
  messages: readonly MessageShown[];
  settings: Settings;
}

/** How much of the bot's memory is filled, no larger than a letter. */
export function SmallGauge({ messages, settings }: SmallGaugeProps) {
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
