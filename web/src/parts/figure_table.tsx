/** The same figures as a table: for who does not see the chart, and for who wants them exactly. */

import { useMoreWords } from "../words/more.ts";
import type { ChartProps } from "./figures.ts";

export function FigureTable({ label, heads, figures, spell }: ChartProps) {
  const t = useMoreWords();
  return (
    <details className="figures">
      <summary>{t("chart.table")}</summary>
      <table>
        <caption className="visually-hidden">{label}</caption>
        <thead>
          <tr>
            <th scope="col">{heads[0]}</th>
            <th scope="col">{heads[1]}</th>
          </tr>
        </thead>
        <tbody>
          {figures.map(({ name, figure }, index) => (
            <tr key={`${index} ${name}`}>
              <th scope="row">{name}</th>
              <td>{spell.whole(figure)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
