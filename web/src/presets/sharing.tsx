/** Who else may use a preset. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import { useShares } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import type { PresetListed } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem, Switch } from "../parts/speaking.tsx";
import { useMoreWords } from "../words/more.ts";

export default function Sharing({ preset, onClose }: { preset: PresetListed; onClose: () => void }) {
  const t = useMoreWords();
  const queries = useQueryClient();
  const kept = useShares(preset.id);
  const [names, setNames] = useState<readonly string[] | null>(null);
  const [isPublic, setPublic] = useState(preset.is_public);
  const [writing, setWriting] = useState("");
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (kept.data !== undefined) setNames((before) => before ?? kept.data.usernames);
  }, [kept.data]);
  if (names === null) {
    return (
      <Dialog title={t("sharing.of", { name: preset.name })} onClose={onClose}>
        {kept.isError && <p className="notice warn">{t("offline.try")}</p>}
      </Dialog>
    );
  }

  const add = () => {
    setNames(withName(names, writing));
    setWriting("");
    field.current?.focus();
  };
  const save = async (event: FormEvent) => {
    event.preventDefault();
    // A name that is still in the field is meant, too.
    const usernames = withName(names, writing);
    const path = `ai-chat/api/presets/${preset.id}/`;
    try {
      await ask("PUT", `${path}shares/`, { usernames });
      if (isPublic !== preset.is_public) await ask("PATCH", path, { is_public: isPublic });
      await queries.invalidateQueries({ queryKey: ["presets"] });
      onClose();
    } catch (error) {
      if (error instanceof Refused && error.fields.usernames !== undefined) {
        setProblem(error.fields.usernames);
      } else sayRefused(error);
    }
  };
  return (
    <Dialog title={t("sharing.of", { name: preset.name })} onClose={onClose}>
      <form className="fields" onSubmit={save}>
        <Switch
          label={t("preset.share")}
          what={t("preset.share.what")}
          checked={isPublic}
          onChange={setPublic}
        />
        <div className="field">
          <label htmlFor="share-with">{t("sharing.with")}</label>
          <div className="adding">
            <input
              ref={field}
              id="share-with"
              value={writing}
              maxLength={254}
              autoCapitalize="none"
              autoComplete="off"
              spellCheck={false}
              placeholder={t("sharing.name")}
              onChange={(event) => {
                setWriting(event.target.value);
                setProblem(undefined);
              }}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || writing.trim() === "") return;
                event.preventDefault();
                add();
              }}
            />
            <button type="button" className="button" disabled={writing.trim() === ""} onClick={add}>
              {t("add")}
            </button>
          </div>
          <Problem words={problem} />
          {/* That the sheet knows of them as of every other field. */}
          <input type="hidden" value={names.join("\n")} />
          {names.length > 0 && (
            <ul className="chips" aria-label={t("sharing.with")}>
              {names.map((name) => (
                <li key={name}>
                  {name}
                  <button
                    type="button"
                    aria-label={t("sharing.remove", { name })}
                    title={t("sharing.remove", { name })}
                    onClick={() => {
                      setNames(names.filter((one) => one !== name));
                      setProblem(undefined);
                    }}
                  >
                    <Icon name="close" />
                  </button>
                </li>
              ))}
            </ul>
          )}
          <small>{t(names.length === 0 ? "sharing.nobody" : "sharing.what")}</small>
        </div>
        <div className="actions">
          <button type="button" className="button ghost" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" className="button primary">
            {t("save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Names are compared without case. */
function withName(names: readonly string[], written: string): readonly string[] {
  const name = written.trim();
  const isThere = names.some((one) => one.toLowerCase() === name.toLowerCase());
  return name === "" || isThere ? names : [...names, name];
}
