/** A formula in TeX, drawn by the browser's own MathML. It is read where there is one, and shown as written where it cannot be. */

import { useEffect, useRef } from "react";

export function Formula({ tex, display }: { tex: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let wanted = true;
    import("katex").then(
      ({ default: katex }) => {
        const drawn = document.createElement("span");
        try {
          katex.render(tex, drawn, { displayMode: display, output: "mathml", maxExpand: 200, maxSize: 20 });
        } catch {
          return;
        }
        if (wanted) place.current?.replaceChildren(drawn);
      },
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [tex, display]);
  return (
    <span key={tex} ref={place} className={display ? "formula display" : "formula"}>
      {tex}
    </span>
  );
}
