/** Which model answers: what is known of each, and whether it answers just now. */

import { useId } from "react";
import { useModels, useModelsHealth } from "../api/queries.ts";
import type { ModelShown } from "../api/schema.ts";
import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { ModelOptions } from "./model_options.tsx";
import { Problem } from "./speaking.tsx";

interface ModelFieldProps {
  value: string | null;
  /** It may be left to the server. */
  open: boolean;
  problem: string | undefined;
  onChange: (name: string | null) => void;
}

export function ModelField({ value, open, problem, onChange }: ModelFieldProps) {
  const t = useMoreWords();
  const id = useId();
  const models = useModels().data ?? [];
  const chosen = models.find((model) => (value === null ? model.is_default : model.name === value));
  const isUnknown = value !== null && value !== "" && chosen === undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{t("model")}</label>
      <select
        id={id}
        aria-describedby={`${id}-facts`}
        value={value ?? ""}
        onChange={(event) => onChange(event.target.value || null)}
      >
        {(open || value === null || value === "") && <option value="">{t("model.default")}</option>}
        {isUnknown && <option value={value}>{t("model.absent", { name: value })}</option>}
        <ModelOptions />
      </select>
      {chosen !== undefined && <Facts id={`${id}-facts`} model={chosen} />}
      <Problem words={problem} />
    </div>
  );
}

function Facts({ id, model }: { id: string; model: ModelShown }) {
  const t = useMoreWords();
  const healthy = useModelsHealth()(model.name);
  const number = new Intl.NumberFormat(language()).format;
  const facts = [
    healthy === null ? null : t(healthy ? "health.up" : "health.down"),
    model.parameter_count || null,
    model.context_length === null ? null : t("model.room", { room: number(model.context_length) }),
    model.description || null,
  ].filter((fact) => fact !== null);
  return (
    <small id={id}>
      {healthy !== null && <Health healthy={healthy} />}
      {facts.join(" · ")}
    </small>
  );
}

export function Health({ healthy }: { healthy: boolean }) {
  return <span className={healthy ? "health up" : "health down"} aria-hidden="true" />;
}
