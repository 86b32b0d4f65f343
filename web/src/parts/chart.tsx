/** Bars over days; the same numbers as a table for whoever does not see them. */

import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { topOf } from "./bars.ts";

export interface Bar {
  /** As `2026-03-02`. */
  day: string;
  value: number;
}

interface ChartProps {
  title: string;
  bars: readonly Bar[];
  spell: (value: number) => string;
}

export function Chart({ title, bars, spell }: ChartProps) {
  const t = useMoreWords();
  const top = topOf(bars.map((bar) => bar.value));
  const whole = bars.reduce((sum, bar) => sum + bar.value, 0);
  const format = new Intl.DateTimeFormat(language(), { day: "numeric", month: "short", timeZone: "UTC" });
  const spellDay = (day: string) => format.format(new Date(day));
  const [first, middle, last] = [bars[0], bars[Math.floor(bars.length / 2)], bars.at(-1)];
  return (
    <figure className="chart">
      <figcaption>
        {title} <strong>{spell(whole)}</strong>
      </figcaption>
      <div className="bars" role="img" aria-label={`${title}: ${spell(whole)}`}>
        <span className="top">{spell(top)}</span>
        {bars.map(({ day, value }) => (
          <span key={day} className="bar" title={`${spellDay(day)}: ${spell(value)}`}>
            <i style={{ height: `${(value / top) * 100}%` }} />
          </span>
        ))}
      </div>
      <p className="days" aria-hidden="true">
        {[first, middle, last].map((bar) => bar && <span key={bar.day}>{spellDay(bar.day)}</span>)}
      </p>
      <details className="numbers">
        <summary>{t("chart.table")}</summary>
        <table>
          <caption className="visually-hidden">{title}</caption>
          <tbody>
            {bars
              .filter((bar) => bar.value > 0)
              .map(({ day, value }) => (
                <tr key={day}>
                  <th scope="row">{spellDay(day)}</th>
                  <td>{spell(value)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
