/** The fields that say how a bot speaks: those of a conversation and those of a preset. */

import { useId } from "react";
import type { SettingsShown } from "../api/schema.ts";
import { useMoreWords } from "../words/more.ts";
import { ModelField } from "./model_field.tsx";
import { Slider } from "./slider.tsx";

export type Speaking = SettingsShown;

export const UNSETTLED: Speaking = {
  model_name: null,
  temperature: null,
  max_tokens: null,
  presence_penalty: null,
  frequency_penalty: null,
  enable_tools: true,
  window: null,
  token_budget: null,
  caches_answers: false,
};

interface SpeakingFieldsProps {
  value: Speaking;
  problems: Readonly<Record<string, string>>;
  /** Model and temperature may be left to the server. */
  open: boolean;
  onChange: (value: Speaking) => void;
}

export function SpeakingFields({ value, problems, open, onChange }: SpeakingFieldsProps) {
  const t = useMoreWords();
  const change = (part: Partial<Speaking>) => onChange({ ...value, ...part });
  return (
    <>
      <ModelField
        value={value.model_name}
        open={open}
        problem={problems.model_name}
        onChange={(model_name) => change({ model_name })}
      />
      <Slider
        label={t("temperature")}
        ends={[t("temperature.low"), t("temperature.high")]}
        range={[0, 2]}
        otherwise={0.7}
        value={value.temperature}
        open={open}
        problem={problems.temperature}
        onChange={(temperature) => change({ temperature })}
      />
      <Count
        name="max_tokens"
        label={t("max_tokens")}
        empty={t("default")}
        value={value.max_tokens}
        problem={problems.max_tokens}
        onChange={(max_tokens) => change({ max_tokens })}
      />
      <Switch
        label={t("tools")}
        checked={value.enable_tools}
        onChange={(enable_tools) => change({ enable_tools })}
      />
    </>
  );
}

/** How much the bot looks back, and what few people want to settle. */
export function FinerFields({ value, problems, onChange }: Omit<SpeakingFieldsProps, "open">) {
  const t = useMoreWords();
  const change = (part: Partial<Speaking>) => onChange({ ...value, ...part });
  const wrong = ["token_budget", "presence_penalty", "frequency_penalty"].some((name) => name in problems);
  return (
    <>
      <Count
        name="window"
        label={t("window")}
        what={t("window.what")}
        empty={t("window.all")}
        least={0}
        most={200}
        value={value.window}
        problem={problems.window}
        onChange={(window) => change({ window })}
      />
      <details className="finer" open={wrong || undefined}>
        <summary>{t("finer")}</summary>
        <div className="fields">
          <Count
            name="token_budget"
            label={t("token_budget")}
            what={t("token_budget.what")}
            empty={t("token_budget.all")}
            value={value.token_budget}
            problem={problems.token_budget}
            onChange={(token_budget) => change({ token_budget })}
          />
          <Slider
            label={t("presence")}
            ends={[t("presence.low"), t("presence.high")]}
            range={[-2, 2]}
            otherwise={0}
            value={value.presence_penalty}
            open
            problem={problems.presence_penalty}
            onChange={(presence_penalty) => change({ presence_penalty })}
          />
          <Slider
            label={t("frequency")}
            ends={[t("frequency.low"), t("frequency.high")]}
            range={[-2, 2]}
            otherwise={0}
            value={value.frequency_penalty}
            open
            problem={problems.frequency_penalty}
            onChange={(frequency_penalty) => change({ frequency_penalty })}
          />
          <Switch
            label={t("caches")}
            what={t("caches.what")}
            checked={value.caches_answers}
            onChange={(caches_answers) => change({ caches_answers })}
          />
        </div>
      </details>
    </>
  );
}

interface CountProps {
  name: keyof Speaking;
  label: string;
  what?: string;
  /** What holds where nothing is written. */
  empty: string;
  least?: number;
  most?: number;
  value: number | null;
  problem: string | undefined;
  onChange: (value: number | null) => void;
}

function Count({ name, label, what, empty, least = 1, most, value, problem, onChange }: CountProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <input
        type="number"
        name={name}
        aria-invalid={problem !== undefined}
        min={least}
        max={most}
        inputMode="numeric"
        placeholder={empty}
        value={value ?? ""}
        onChange={(event) => onChange(wholeOrNull(event.target.value))}
      />
      {what !== undefined && <small>{what}</small>}
      <Problem words={problem} />
    </label>
  );
}

interface SwitchProps {
  label: string;
  what?: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

export function Switch({ label, what, checked, onChange }: SwitchProps) {
  const id = useId();
  return (
    <div className="switch">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        aria-describedby={what === undefined ? undefined : `${id}-what`}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>
        <label htmlFor={id}>{label}</label>
        {what !== undefined && <small id={`${id}-what`}>{what}</small>}
      </span>
    </div>
  );
}

export function Problem({ words }: { words: string | undefined }) {
  return words === undefined ? null : (
    <small className="problem" role="alert">
      {words}
    </small>
  );
}

function wholeOrNull(text: string): number | null {
  return text === "" ? null : Math.trunc(Number(text));
}

/** What of the one is another in the other: what a change has to say. */
export function changed<T extends object>(before: T, now: T): Partial<T> {
  const names = Object.keys(now) as (keyof T)[];
  return Object.fromEntries(
    names.filter((name) => now[name] !== before[name]).map((name) => [name, now[name]]),
  ) as Partial<T>;
}
