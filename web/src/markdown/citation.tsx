import type { Element } from "hast";
import { useContext } from "react";
import type { SourceShown } from "../api/schema.ts";
import { useWords } from "../words/index.ts";
import { Cited, type Citing } from "./cited.ts";
import { withCites } from "./citing.ts";

export function citingOf(named: readonly SourceShown[], open: Citing["open"]): Citing {
  const sources = new Map(named.map(({ number, document_name }) => [number, document_name]));
  return { sources, open, mark: withCites, Citation };
}

/** A number in the text that opens what it stands for. */
export function Citation({ node }: { node?: Element; children?: unknown }) {
  const t = useWords();
  const citing = useContext(Cited);
  const number = Number(node?.properties.dataNumber);
  const name = citing?.sources.get(number);
  if (citing === null || name === undefined) return `[${number}]`;
  const label = name === "" ? t("source.gone", { number }) : t("source", { number, name });
  // There is nothing to open.
  if (name === "")
    return (
      <span role="img" className="citation gone" aria-label={label} title={label}>
        {number}
      </span>
    );
  return (
    <button
      type="button"
      className="citation"
      aria-label={label}
      title={label}
      onClick={() => citing.open(number)}
    >
      {number}
    </button>
  );
}
