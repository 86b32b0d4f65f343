import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { Problem } from "./speaking.tsx";

interface SliderProps {
  label: string;
  /** What the least and the most of it mean. */
  ends: readonly [string, string];
  range: readonly [number, number];
  /** Where the knob rests while nothing is settled. */
  otherwise: number;
  value: number | null;
  /** It may be left unsettled. */
  open: boolean;
  problem: string | undefined;
  onChange: (value: number | null) => void;
}

/** A number between two ends, or none. */
export function Slider({ label, ends, range, otherwise, value, open, problem, onChange }: SliderProps) {
  const t = useMoreWords();
  const shown = value === null ? t("default") : new Intl.NumberFormat(language()).format(value);
  return (
    <div className="field slider">
      <span>
        {label} <span className="value">{shown}</span>
        {open && value !== null && (
          <button
            type="button"
            className="link"
            aria-label={t("unsettle.of", { name: label })}
            onClick={() => onChange(null)}
          >
            {t("unsettle")}
          </button>
        )}
      </span>
      <input
        type="range"
        className={value === null ? "unsettled" : undefined}
        aria-label={label}
        aria-valuetext={shown}
        min={range[0]}
        max={range[1]}
        step="0.1"
        value={value ?? otherwise}
        onChange={(event) => onChange(Number(event.target.value))}
      />
      <small className="ends">
        <span>{ends[0]}</span>
        <span>{ends[1]}</span>
      </small>
      <Problem words={problem} />
    </div>
  );
}
