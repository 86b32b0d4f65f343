import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import { usePreset } from "../api/queries.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem, type Speaking, SpeakingFields } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { useWho } from "../people/people.ts";
import { useWords } from "../words/index.ts";

interface Fields extends Speaking {
  name: string;
  description: string;
  system_prompt: string;
  is_public: boolean;
}

const EMPTY: Fields = {
  name: "",
  description: "",
  system_prompt: "",
  model_name: "",
  temperature: null,
  max_tokens: null,
  enable_tools: true,
  is_public: false,
};

/** null makes a new one. */
export function PresetForm({ id, onClose }: { id: number | null; onClose: () => void }) {
  const t = useWords();
  const queries = useQueryClient();
  const isGuest = useWho().data?.isGuest ?? true;
  const preset = usePreset(id).data;
  const [fields, setFields] = useState<Fields | null>(id === null ? EMPTY : null);
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  useEffect(() => {
    if (preset !== undefined) setFields((before) => before ?? preset);
  }, [preset]);

  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (fields === null) return;
    const { temperature, model_name, ...others } = pickFields(fields);
    const body = {
      ...others,
      ...(temperature === null ? {} : { temperature }),
      ...(model_name === (preset?.model_name ?? "") ? {} : { model_name }),
    };
    try {
      if (id === null) await ask("POST", "ai-chat/api/presets/", body);
      else await ask("PATCH", `ai-chat/api/presets/${id}/`, body);
      await queries.invalidateQueries({ queryKey: ["presets"] });
      onClose();
    } catch (error) {
      if (error instanceof Refused && Object.keys(error.fields).length > 0) setProblems(error.fields);
      else say(error instanceof Refused && error.message ? error.message : t("offline.try"));
    }
  };
  return (
    <Dialog title={t(id === null ? "preset.new" : "preset.edit")} onClose={onClose} side>
      {fields !== null && (
        <form className="fields" onSubmit={save}>
          <label className="field">
            <span>{t("preset.name")}</span>
            <input
              required
              maxLength={100}
              value={fields.name}
              onChange={(event) => setFields({ ...fields, name: event.target.value })}
            />
            <Problem words={problems.name} />
          </label>
          <label className="field">
            <span>{t("preset.description")}</span>
            <input
              maxLength={500}
              value={fields.description}
              onChange={(event) => setFields({ ...fields, description: event.target.value })}
            />
            <Problem words={problems.description} />
          </label>
          <label className="field">
            <span>{t("system")}</span>
            <textarea
              required
              rows={8}
              maxLength={20_000}
              placeholder={t("system.what")}
              value={fields.system_prompt}
              onChange={(event) => setFields({ ...fields, system_prompt: event.target.value })}
            />
            <Problem words={problems.system_prompt} />
          </label>
          <SpeakingFields
            value={fields}
            problems={problems}
            onChange={(speaking) => setFields({ ...fields, ...speaking })}
          />
          {!isGuest && (
            <label className="switch">
              <input
                type="checkbox"
                checked={fields.is_public}
                onChange={(event) => setFields({ ...fields, is_public: event.target.checked })}
              />
              <span>
                {t("preset.share")}
                <small>{t("preset.share.what")}</small>
              </span>
            </label>
          )}
          <div className="actions">
            <button type="button" className="button ghost" onClick={onClose}>
              {t("cancel")}
            </button>
            <button type="submit" className="button primary">
              {t("save")}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function pickFields(fields: Fields): Fields {
  const { name, description, system_prompt, model_name, temperature, max_tokens, enable_tools, is_public } =
    fields;
  return { name, description, system_prompt, model_name, temperature, max_tokens, enable_tools, is_public };
}
