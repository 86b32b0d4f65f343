/** The fields that say how a bot speaks: those of a conversation and those of a preset. */

import { useModels } from "../api/queries.ts";
import { useWords } from "../words/index.ts";

export interface Speaking {
  model_name: string;
  temperature: number | null;
  max_tokens: number | null;
  enable_tools: boolean;
}

interface SpeakingFieldsProps {
  value: Speaking;
  problems: Readonly<Record<string, string>>;
  onChange: (value: Speaking) => void;
}

export function SpeakingFields({ value, problems, onChange }: SpeakingFieldsProps) {
  const t = useWords();
  const models = useModels().data ?? [];
  const isOffered = models.some((model) => model.name === value.model_name);
  return (
    <>
      <label className="field">
        <span>{t("model")}</span>
        <select
          value={value.model_name}
          onChange={(event) => onChange({ ...value, model_name: event.target.value })}
        >
          {!isOffered && (
            <option value={value.model_name}>
              {value.model_name === "" ? t("model.default") : t("model.absent", { name: value.model_name })}
            </option>
          )}
          {models.map((model) => (
            <option key={model.id} value={model.name}>
              {model.is_default ? t("model.is_default", { name: model.display_name }) : model.display_name}
            </option>
          ))}
        </select>
        <Problem words={problems.model_name} />
      </label>
      <label className="field">
        <span>
          {t("temperature")} <span className="value">{value.temperature ?? "–"}</span>
        </span>
        <input
          type="range"
          aria-label={t("temperature")}
          min="0"
          max="2"
          step="0.1"
          value={value.temperature ?? 0.7}
          onChange={(event) => onChange({ ...value, temperature: Number(event.target.value) })}
        />
        <small className="ends">
          <span>{t("temperature.low")}</span>
          <span>{t("temperature.high")}</span>
        </small>
        <Problem words={problems.temperature} />
      </label>
      <label className="field">
        <span>{t("max_tokens")}</span>
        <input
          type="number"
          min="1"
          inputMode="numeric"
          placeholder={t("default")}
          value={value.max_tokens ?? ""}
          onChange={(event) => onChange({ ...value, max_tokens: wholeOrNull(event.target.value) })}
        />
        <Problem words={problems.max_tokens} />
      </label>
      <label className="switch">
        <input
          type="checkbox"
          checked={value.enable_tools}
          onChange={(event) => onChange({ ...value, enable_tools: event.target.checked })}
        />
        <span>{t("tools")}</span>
      </label>
    </>
  );
}

export function Problem({ words }: { words: string | undefined }) {
  return words === undefined ? null : (
    <small className="problem" role="alert">
      {words}
    </small>
  );
}

export function wholeOrNull(text: string): number | null {
  return text === "" ? null : Math.trunc(Number(text));
}
