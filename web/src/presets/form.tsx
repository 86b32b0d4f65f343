import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { ask } from "../api/http.ts";
import { usePreset, useSettings } from "../api/queries.ts";
import type { PresetShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { useProblems } from "../parts/problems.ts";
import { SaveOrCancel } from "../parts/save_or_cancel.tsx";
import {
  changed,
  FinerFields,
  Problem,
  type Speaking,
  SpeakingFields,
  UNSETTLED,
} from "../parts/speaking.tsx";
import { useMoreWords } from "../words/more.ts";

interface Fields {
  name: string;
  description: string;
  system_prompt: string;
}

const EMPTY: Fields = { name: "", description: "", system_prompt: "" };

interface PresetFormProps {
  /** null makes a new one. */
  id: number | null;
  /** What a new one begins as. */
  copyOf?: number | null;
  onClose: () => void;
}

export function PresetForm({ id, copyOf = null, onClose }: PresetFormProps) {
  const t = useMoreWords();
  const queries = useQueryClient();
  const source = id ?? copyOf;
  const preset = usePreset(source).data;
  const settings = useSettings("presets", source).data;
  const [fields, setFields] = useState<Fields | null>(source === null ? EMPTY : null);
  const [speaking, setSpeaking] = useState<Speaking | null>(source === null ? UNSETTLED : null);
  const { form, problems, check, take } = useProblems();
  useEffect(() => {
    if (preset === undefined || settings === undefined) return;
    setFields((before) => before ?? pickFields(preset));
    setSpeaking((before) => before ?? settings);
  }, [preset, settings]);

  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (fields === null || speaking === null || !check()) return;
    try {
      if (id === null) await make(fields, speaking);
      else if (preset !== undefined && settings !== undefined) {
        await patch(id, "", changed(pickFields(preset), fields));
        await patch(id, "settings/", changed(settings, speaking));
      }
      await queries.invalidateQueries({ queryKey: ["presets"] });
      onClose();
    } catch (error) {
      take(error);
    }
  };
  return (
    <Dialog title={t(id === null ? "preset.new" : "preset.edit")} onClose={onClose} side>
      {fields !== null && speaking !== null && (
        <form ref={form} className="fields" noValidate onSubmit={save}>
          <label className="field">
            <span>{t("preset.name")}</span>
            <input
              name="name"
              required
              aria-invalid={problems.name !== undefined}
              maxLength={100}
              value={fields.name}
              onChange={(event) => setFields({ ...fields, name: event.target.value })}
            />
            <Problem words={problems.name} />
          </label>
          <label className="field">
            <span>{t("preset.description")}</span>
            <input
              name="description"
              aria-invalid={problems.description !== undefined}
              maxLength={500}
              value={fields.description}
              onChange={(event) => setFields({ ...fields, description: event.target.value })}
            />
            <Problem words={problems.description} />
          </label>
          <label className="field">
            <span>{t("system")}</span>
            <textarea
              name="system_prompt"
              required
              aria-invalid={problems.system_prompt !== undefined}
              rows={8}
              maxLength={20_000}
              placeholder={t("system.what")}
              value={fields.system_prompt}
              onChange={(event) => setFields({ ...fields, system_prompt: event.target.value })}
            />
            <Problem words={problems.system_prompt} />
          </label>
          <SpeakingFields value={speaking} problems={problems} open onChange={setSpeaking} />
          <FinerFields value={speaking} problems={problems} onChange={setSpeaking} />
          <SaveOrCancel onCancel={onClose} />
        </form>
      )}
    </Dialog>
  );
}

/** In one step, where its settings are such as most have: so that its versions begin with what was meant. */
async function make(fields: Fields, speaking: Speaking): Promise<void> {
  const { model_name, temperature, max_tokens, enable_tools } = speaking;
  const { id } = await ask<PresetShown>("POST", "ai-chat/api/presets/", {
    ...fields,
    ...(model_name === null ? {} : { model_name }),
    ...(temperature === null ? {} : { temperature }),
    ...{ max_tokens, enable_tools },
  });
  const made = await ask<Speaking>("GET", `ai-chat/api/presets/${id}/settings/`);
  const meant = { ...speaking, temperature: temperature ?? made.temperature };
  await patch(id, "settings/", changed(made, meant));
}

/** A change that changes nothing is none. */
async function patch(id: number, part: "" | "settings/", change: object): Promise<void> {
  if (Object.keys(change).length > 0) await ask("PATCH", `ai-chat/api/presets/${id}/${part}`, change);
}

function pickFields({ name, description, system_prompt }: PresetShown): Fields {
  return { name, description, system_prompt };
}
