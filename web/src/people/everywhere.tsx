import { useState } from "react";
import { Dialog } from "../parts/dialog.tsx";
import { say } from "../parts/toasts.ts";
import { useMoreWords } from "../words/more.ts";
import { signOut } from "./people.ts";

/** Ends all sessions and tokens: whoever else has got hold of one is out, too. */
export function Everywhere() {
  const t = useMoreWords();
  const [sure, setSure] = useState(false);
  return (
    <section className="panel" aria-labelledby="everywhere">
      <h2 id="everywhere">{t("sign_out.everywhere")}</h2>
      <p>{t("sign_out.everywhere.what")}</p>
      <div>
        <button type="button" className="button" onClick={() => setSure(true)}>
          {t("sign_out.everywhere")}
        </button>
      </div>
      {sure && (
        <Dialog title={t("sign_out.everywhere.sure")} onClose={() => setSure(false)}>
          <p>{t("sign_out.everywhere.what")}</p>
          <div className="actions">
            <button type="button" className="button ghost" onClick={() => setSure(false)}>
              {t("cancel")}
            </button>
            <button
              type="button"
              className="button danger"
              onClick={() => signOut(true).catch(() => say(t("offline.try")))}
            >
              {t("sign_out.everywhere")}
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}
