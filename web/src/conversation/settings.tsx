/** What a conversation is talked with: from the next message on. */

import { type FormEvent, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import { useModels } from "../api/queries.ts";
import type { MessageShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem, type Speaking, SpeakingFields, wholeOrNull } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { language, useWords } from "../words/index.ts";
import type { Live } from "./live.ts";
import { ModelNotice } from "./model_notice.tsx";
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
        <ModelNotice />
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
        <Usage messages={story.messages} />
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

/** What the newest answer has cost, where the model tells. */
function Usage({ messages }: { messages: readonly MessageShown[] }) {
  const t = useWords();
  const models = useModels().data ?? [];
  const last = messages.findLast((message) => message.metadata.usage !== undefined);
  if (last?.metadata.usage === undefined) return null;
  const { prompt_tokens: read, completion_tokens: written, total_tokens: whole } = last.metadata.usage;
  const room = models.find((model) => model.name === last.metadata.model)?.context_length ?? null;
  const number = new Intl.NumberFormat(language()).format;
  return (
    <div className="field usage">
      <span>{t("usage")}</span>
      {room !== null && <meter min={0} max={room} value={whole} aria-label={t("usage.room")} />}
      <small>
        {t("usage.what", { read: number(read), written: number(written) })}
        {room !== null && ` ${t("usage.of", { room: number(room) })}`}
      </small>
    </div>
  );
}
