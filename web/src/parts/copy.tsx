import { useState } from "react";
import { useWords } from "../words/index.ts";
import { Icon } from "./icon.tsx";
import { say } from "./toasts.ts";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const t = useWords();
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text))) return say(t("copy.failed"));
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return (
    <button
      type="button"
      className="icon-button"
      onClick={copy}
      aria-label={done ? t("copied") : label}
      title={label}
    >
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}

/** Pages fetched by plain http from another machine have no clipboard but the old way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
