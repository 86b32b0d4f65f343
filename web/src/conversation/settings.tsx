/** What a conversation is talked with: from the next message on. */

import { type FormEvent, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem, type Speaking, SpeakingFields, wholeOrNull } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { useWords } from "../words/index.ts";
import type { Live } from "./live.ts";
import type { Settings } from "./story.ts";

interface SettingsSheetProps {
  live: Live;
  settings: Settings;
  onClose: () => void;
}

export default function SettingsSheet({ live, settings, onClose }: SettingsSheetProps) {
  const t = useWords();
  const story = useWatched(live.story);
  const spoken = story.messages.find((message) => message.role === "system")?.content ?? "";
  // Further up than what is loaded there may be one that is not known here.
  const isPromptKnown = !story.hasMore || spoken !== "";
  const [title, setTitle] = useState(settings.title);
  const [speaking, setSpeaking] = useState<Speaking>(settings);
  const [prompt, setPrompt] = useState(spoken);
  const [memory, setMemory] = useState(settings.window);
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});

  const save = async (event: FormEvent) => {
    event.preventDefault();
    const { model_name, temperature, max_tokens, enable_tools } = speaking;
    const change = {
      ...(title.trim() === "" ? {} : { title: title.trim() }),
      ...(model_name === settings.model_name ? {} : { model_name }),
      ...(temperature === null ? {} : { temperature }),
      max_tokens,
      enable_tools,
      window: memory,
      ...(prompt === spoken ? {} : { system_prompt: prompt }),
    };
    try {
      await ask("PATCH", `ai-chat/api/sessions/${live.id}/update_settings/`, change);
      live.lookAnew();
      onClose();
    } catch (error) {
      if (error instanceof Refused && Object.keys(error.fields).length > 0) setProblems(error.fields);
      else say(error instanceof Refused && error.message ? error.message : t("offline.try"));
    }
  };
  return (
    <Dialog title={t("settings")} onClose={onClose} side>
      <form className="fields" onSubmit={save}>
        <label className="field">
          <span>{t("title")}</span>
          <input value={title} maxLength={255} onChange={(event) => setTitle(event.target.value)} />
          <Problem words={problems.title} />
        </label>
        <SpeakingFields value={speaking} problems={problems} onChange={setSpeaking} />
        <label className="field">
          <span>{t("window")}</span>
          <input
            type="number"
            min="0"
            max="200"
            inputMode="numeric"
            placeholder={t("window.all")}
            value={memory ?? ""}
            onChange={(event) => setMemory(wholeOrNull(event.target.value))}
          />
          <small>{t("window.what")}</small>
          <Problem words={problems.window} />
        </label>
        {isPromptKnown && (
          <label className="field">
            <span>{t("system")}</span>
            <textarea
              rows={6}
              maxLength={20_000}
              placeholder={t("system.what")}
              value={prompt}
              onChange={(event) => setPrompt(event.target.value)}
            />
            <Problem words={problems.system_prompt} />
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
    </Dialog>
  );
}
