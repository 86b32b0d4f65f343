/** A column for each day. The words stand beside the drawing, so that they are as large on a phone as elsewhere. */

import { FigureTable } from "./figure_table.tsx";
import { type ChartProps, roundUp } from "./figures.ts";

const HEIGHT = 100;
const GAP = 0.22;

export function Columns({ label, heads, figures, spell }: ChartProps) {
  const top = roundUp(Math.max(...figures.map(({ figure }) => figure), 0));
  const first = figures[0];
  const last = figures.at(-1);
  const middle = figures[Math.floor(figures.length / 2)];
  return (
    <>
      <div className="columns">
        <div className="columns-scale" aria-hidden="true">
          <span>{spell.short(top)}</span>
          <span>{spell.short(top / 2)}</span>
          <span>{spell.short(0)}</span>
        </div>
        <svg
          className="columns-drawing"
          viewBox={`0 0 ${figures.length} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={label}
        >
          {[0, HEIGHT / 2, HEIGHT].map((y) => (
            <line key={y} x1="0" x2={figures.length} y1={y} y2={y} />
          ))}
          {figures.map(({ name, figure }, index) => {
            const height = (figure / top) * HEIGHT;
            return (
              <g key={name}>
                <title>{`${name}: ${spell.whole(figure)}`}</title>
                <rect className="columns-catch" x={index} y="0" width="1" height={HEIGHT} />
                <rect
                  className="columns-one"
                  x={index + GAP / 2}
                  y={HEIGHT - height}
                  width={1 - GAP}
                  height={height}
                />
              </g>
            );
          })}
        </svg>
        <div className="columns-days" aria-hidden="true">
          <span>{first?.name}</span>
          <span>{middle?.name}</span>
          <span>{last?.name}</span>
        </div>
      </div>
      <FigureTable
        label={label}
        heads={heads}
        figures={figures.filter(({ figure }) => figure > 0)}
        spell={spell}
      />
    </>
  );
}
