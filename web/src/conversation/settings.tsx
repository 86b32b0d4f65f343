/** What a conversation is talked with: from the next message on. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { ask } from "../api/http.ts";
import { useSettings } from "../api/queries.ts";
import { Dialog } from "../parts/dialog.tsx";
import { useProblems } from "../parts/problems.ts";
import { SaveOrCancel } from "../parts/save_or_cancel.tsx";
import { changed, FinerFields, Problem, type Speaking, SpeakingFields } from "../parts/speaking.tsx";
import { useWatched } from "../parts/watched.ts";
import { useMoreWords } from "../words/more.ts";
import { Gauge } from "./gauge.tsx";
import type { Live } from "./live.ts";
import { ModelNotice } from "./model_notice.tsx";
import type { Settings } from "./story.ts";

interface SettingsSheetProps {
  live: Live;
  settings: Settings;
  onClose: () => void;
}

export default function SettingsSheet({ live, settings, onClose }: SettingsSheetProps) {
  const t = useMoreWords();
  const queries = useQueryClient();
  const story = useWatched(live.story);
  const kept = useSettings("sessions", live.id);
  const spoken = story.messages.find((message) => message.role === "system")?.content ?? "";
  // Further up than what is loaded there may be one that is not known here.
  const isPromptKnown = !story.hasMore || spoken !== "";
  const [title, setTitle] = useState(settings.title);
  const [speaking, setSpeaking] = useState<Speaking | null>(null);
  const [prompt, setPrompt] = useState(spoken);
  const { form, problems, check, take } = useProblems();
  useEffect(() => {
    if (kept.data !== undefined) setSpeaking((before) => before ?? kept.data);
  }, [kept.data]);

  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (kept.data === undefined || speaking === null || !check()) return;
    const change = {
      ...changed(kept.data, speaking),
      ...(title.trim() === "" || title.trim() === settings.title ? {} : { title: title.trim() }),
      ...(prompt === spoken ? {} : { system_prompt: prompt }),
    };
    try {
      await ask("PATCH", `ai-chat/api/sessions/${live.id}/settings/`, change);
      live.lookAnew();
      void queries.invalidateQueries({ queryKey: ["sessions", live.id, "settings"] });
      onClose();
    } catch (error) {
      take(error);
    }
  };
  return (
    <Dialog title={t("settings")} onClose={onClose} side>
      <form ref={form} className="fields" noValidate onSubmit={save}>
        <label className="field">
          <span>{t("title")}</span>
          <input
            name="title"
            aria-invalid={problems.title !== undefined}
            value={title}
            maxLength={255}
            onChange={(event) => setTitle(event.target.value)}
          />
          <Problem words={problems.title} />
        </label>
        <ModelNotice />
        {kept.isError && <p className="notice warn">{t("offline.try")}</p>}
        {speaking !== null && (
          <SpeakingFields value={speaking} problems={problems} open={false} onChange={setSpeaking} />
        )}
        {isPromptKnown && (
          <label className="field">
            <span>{t("system")}</span>
            <textarea
              name="system_prompt"
              aria-invalid={problems.system_prompt !== undefined}
              rows={5}
              maxLength={20_000}
              placeholder={t("system.what")}
              value={prompt}
              onChange={(event) => setPrompt(event.target.value)}
            />
            <Problem words={problems.system_prompt} />
          </label>
        )}
        <Gauge id={live.id} messages={story.messages} settings={settings} hasMore={story.hasMore} />
        {speaking !== null && <FinerFields value={speaking} problems={problems} onChange={setSpeaking} />}
        <SaveOrCancel onCancel={onClose} disabled={speaking === null} />
      </form>
    </Dialog>
  );
}
