/** Asks before what cannot be undone. */

import { useState } from "react";
import { wordsOf } from "../api/refused.ts";
import { useWords } from "../words/index.ts";
import { Dialog } from "./dialog.tsx";

interface SureProps {
  title: string;
  what: string;
  go: string;
  run: () => Promise<unknown>;
  onClose: () => void;
}

export function Sure({ title, what, go, run, onClose }: SureProps) {
  const t = useWords();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const sure = async () => {
    setBusy(true);
    try {
      await run();
      onClose();
    } catch (error) {
      setProblem(wordsOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{what}</p>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="actions">
        <button type="button" className="button ghost" onClick={onClose}>
          {t("cancel")}
        </button>
        <button type="button" className="button danger" disabled={busy} onClick={sure}>
          {go}
        </button>
      </div>
    </Dialog>
  );
}
