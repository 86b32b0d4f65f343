/** A block of code. It is coloured once it is whole, and the colours are fetched when first there is something to colour. */

import { memo, type ReactNode, useEffect, useState } from "react";
import { CopyButton } from "../parts/copy.tsx";
import { useWords } from "../words/index.ts";

interface CodeBlockProps {
  code: string;
  language: string;
  grows: boolean;
}

export const CodeBlock = memo(function CodeBlock({ code, language, grows }: CodeBlockProps) {
  const t = useWords();
  const coloured = useColours(code, language, grows);
  return (
    <figure className="code">
      <figcaption>
        <span>{language}</span>
        <CopyButton text={code} label={t("code.copy")} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard. */}
      <pre tabIndex={0}>
        <code>{coloured ?? code}</code>
      </pre>
    </figure>
  );
});

function useColours(code: string, language: string, grows: boolean): ReactNode {
  const [found, setFound] = useState<{ code: string; nodes: ReactNode }>();
  useEffect(() => {
    if (grows || language === "") return;
    let wanted = true;
    import("./highlight.ts").then(({ highlight }) => {
      if (wanted) setFound({ code, nodes: highlight(code, language) });
    }, ignored);
    return () => {
      wanted = false;
    };
  }, [code, language, grows]);
  return found?.code === code ? found.nodes : undefined;
}

/** Code without colours is code all the same. */
function ignored(): void {}
