import { lazy, Suspense } from "react";

const Markdown = lazy(() => import("./markdown.tsx"));

/** As plain text until the means to draw it are here. */
export function Text({ text, grows = false }: { text: string; grows?: boolean }) {
  return (
    <div className="prose">
      <Suspense fallback={<p className="plain">{text}</p>}>
        <Markdown text={text} grows={grows} />
      </Suspense>
    </div>
  );
}
