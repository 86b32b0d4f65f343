import { lazy, Suspense } from "react";
import type { Citing } from "./cited.ts";

// Asked for at once, beside everything else: mostly it is here before the first text is.
const loading = import("./markdown.tsx");
const Markdown = lazy(() => loading);

interface TextProps {
  text: string;
  grows?: boolean;
  /** What its numbers stand for. */
  citing?: Citing | null;
}

/** As plain text until the means to draw it are here. */
export function Text({ text, grows = false, citing = null }: TextProps) {
  return (
    <div className="prose">
      <Suspense fallback={<p className="plain undrawn">{text}</p>}>
        <Markdown text={text} grows={grows} citing={citing} />
      </Suspense>
    </div>
  );
}
