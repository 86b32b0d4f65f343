import { lazy, Suspense } from "react";

// Asked for at once, beside everything else: mostly it is here before the first text is.
const loading = import("./markdown.tsx");
const Markdown = lazy(() => loading);

/** As plain text until the means to draw it are here. */
export function Text({ text, grows = false }: { text: string; grows?: boolean }) {
  return (
    <div className="prose">
      <Suspense fallback={<p className="plain undrawn">{text}</p>}>
        <Markdown text={text} grows={grows} />
      </Suspense>
    </div>
  );
}
