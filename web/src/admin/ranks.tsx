/** A bar for each of the greatest, with its name and its figure. */

import { FigureTable } from "../parts/figure_table.tsx";
import { type ChartProps, greatest } from "../parts/figures.ts";
import { useAdminWords } from "./words.ts";

const SHOWN = 8;

export function Ranks({ label, heads, figures, spell }: ChartProps) {
  const t = useAdminWords();
  const shown = greatest(figures, SHOWN, t("others"));
  const top = Math.max(...shown.map(({ figure }) => figure), 1);
  if (shown.length === 0) return <p className="admin-none">{t("usage.none")}</p>;
  return (
    <>
      <div className="ranks" role="img" aria-label={label}>
        {shown.map(({ name, figure }) => (
          <div key={name} className="rank">
            <span className="rank-name">{name}</span>
            <span className="rank-figure">{spell.whole(figure)}</span>
            <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
              <rect className="rank-whole" width="100" height="1" />
              <rect className="rank-part" width={(figure / top) * 100} height="1" />
            </svg>
          </div>
        ))}
      </div>
      <FigureTable label={label} heads={heads} figures={figures} spell={spell} />
    </>
  );
}
