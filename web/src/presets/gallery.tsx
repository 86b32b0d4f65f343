import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { ask, Refused } from "../api/http.ts";
import { usePresets } from "../api/queries.ts";
import type { PresetListed } from "../api/schema.ts";
import { startFrom } from "../conversation/start.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Menu } from "../parts/menu.tsx";
import { say } from "../parts/toasts.ts";
import { useWords } from "../words/index.ts";
import { PresetForm } from "./form.tsx";

export default function Presets() {
  const t = useWords();
  const presets = usePresets();
  const [form, setForm] = useState<number | "new" | null>(null);
  const make = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    document.title = `${t("presets")} · Palaver`;
  }, [t]);
  return (
    <main className="gallery">
      <div className="gallery-inside">
        <header>
          <div>
            <h1>{t("presets")}</h1>
            <p className="quiet">{t("presets.what")}</p>
          </div>
          <button ref={make} type="button" className="button primary" onClick={() => setForm("new")}>
            <Icon name="new" />
            {t("preset.new")}
          </button>
        </header>
        {(presets.isError || presets.isPaused) && <p className="notice warn">{t("offline.try")}</p>}
        <ul className="cards">
          {(presets.data ?? []).map((preset) => (
            <Card
              key={preset.id}
              preset={preset}
              onEdit={() => setForm(preset.id)}
              onGone={() => make.current?.focus()}
            />
          ))}
        </ul>
      </div>
      {form !== null && <PresetForm id={form === "new" ? null : form} onClose={() => setForm(null)} />}
    </main>
  );
}

interface CardProps {
  preset: PresetListed;
  onEdit: () => void;
  onGone: () => void;
}

function Card({ preset, onEdit, onGone }: CardProps) {
  const t = useWords();
  const [, go] = useLocation();
  const queries = useQueryClient();
  const [sure, setSure] = useState(false);
  const refused = (error: unknown) =>
    say(error instanceof Refused && error.message ? error.message : t("offline.try"));
  const use = () => startFrom(preset.id).then((session) => go(`/c/${session.id}`), refused);
  const remove = async () => {
    setSure(false);
    try {
      await ask("DELETE", `ai-chat/api/presets/${preset.id}/`);
    } catch (error) {
      refused(error);
    }
    await queries.invalidateQueries({ queryKey: ["presets"] });
    onGone();
  };
  return (
    <li className="card">
      <h2>{preset.name}</h2>
      <p>{preset.description}</p>
      <small>
        {preset.model_name} · {t(whose(preset))}
      </small>
      <div className="actions">
        <button type="button" className="button" onClick={use}>
          {t("preset.use")}
        </button>
        {preset.created_by !== null && (
          <Menu
            label={t("preset.menu", { name: preset.name })}
            items={[
              { label: t("edit"), icon: "edit", run: onEdit },
              { label: t("delete"), icon: "trash", danger: true, run: () => setSure(true) },
            ]}
          >
            <Icon name="more" />
          </Menu>
        )}
      </div>
      {sure && (
        <Dialog title={t("preset.delete", { name: preset.name })} onClose={() => setSure(false)}>
          <p>{t("preset.delete.what")}</p>
          <div className="actions">
            <button type="button" className="button ghost" onClick={() => setSure(false)}>
              {t("cancel")}
            </button>
            <button type="button" className="button danger" onClick={remove}>
              {t("delete")}
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

function whose(preset: PresetListed) {
  if (preset.created_by === null) return "preset.built_in";
  return preset.is_public ? "preset.public" : "preset.private";
}
