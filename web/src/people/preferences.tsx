import { useState } from "react";
import { ask } from "../api/http.ts";
import type { AccountShown } from "../api/schema.ts";
import { chooseTheme, THEMES, theme } from "../look/theme.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Segments } from "../parts/segments.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { chooseLanguage, chosenLanguage, LANGUAGES, nameOf } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";
import { takeAccount, useWho } from "./people.ts";
import { chooseStreaming, streaming } from "./tastes.ts";

export default function Preferences({ onClose }: { onClose: () => void }) {
  const t = useMoreWords();
  const [language, setLanguage] = useState(chosenLanguage());
  const shownTheme = useWatched(theme);
  const isPerson = useWho().data?.isGuest === false;
  const streams = useWatched(streaming);
  return (
    <Dialog title={t("preferences")} onClose={onClose}>
      <label className="field">
        <span>{t("language")}</span>
        <select
          value={language ?? ""}
          onChange={(event) => {
            const chosen = event.target.value || null;
            setLanguage(chosen);
            void chooseLanguage(chosen);
            // A guest's is this browser's alone.
            if (isPerson) {
              ask<AccountShown>("PATCH", "api/account", { language: chosen }).then(takeAccount, () =>
                say(t("offline.try")),
              );
            }
          }}
        >
          <option value="">{t("language.browser")}</option>
          {LANGUAGES.map((one) => (
            <option key={one} value={one}>
              {nameOf(one)}
            </option>
          ))}
        </select>
      </label>
      <div className="field">
        <span aria-hidden="true">{t("theme")}</span>
        <Segments
          label={t("theme")}
          chosen={shownTheme}
          options={THEMES.map((one) => [one, t(`theme.${one}`)] as const)}
          onChoose={chooseTheme}
        />
      </div>
      <label className="switch">
        <input
          type="checkbox"
          checked={streams}
          onChange={(event) => chooseStreaming(event.target.checked)}
        />
        <span>
          {t("streaming")}
          <small>{t("streaming.what")}</small>
        </span>
      </label>
    </Dialog>
  );
}
