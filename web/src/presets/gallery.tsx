import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { ask } from "../api/http.ts";
import { usePresets } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import type { PresetListed } from "../api/schema.ts";
import { startFrom } from "../conversation/start.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { type Item, Menu } from "../parts/menu.tsx";
import { Segments } from "../parts/segments.tsx";
import { showTitle } from "../parts/title.ts";
import { useWho } from "../people/people.ts";
import { useMoreWords } from "../words/more.ts";
import { PresetForm } from "./form.tsx";
import { ALL_WHOSE, makerOf, type Whose, whoseIs } from "./whose.ts";

const Sharing = lazy(() => import("./sharing.tsx"));
const Versions = lazy(() => import("./versions.tsx"));

type Sheet =
  | { kind: "form"; id: number | null; copyOf?: number }
  | { kind: "sharing" | "versions"; id: number };

export default function Presets() {
  const t = useMoreWords();
  const presets = usePresets();
  const me = useWho().data?.username ?? null;
  const [sheet, setSheet] = useState<Sheet | null>(null);
  const [filter, setFilter] = useState<Whose | "all">("all");
  const make = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    showTitle(t("presets"));
  }, [t]);
  const close = () => setSheet(null);
  const found = (presets.data ?? []).filter((one) => filter === "all" || whoseIs(one, me) === filter);
  const opened = presets.data?.find((one) => one.id === sheet?.id);
  return (
    <main className="gallery">
      <div className="gallery-inside">
        <header>
          <div>
            <h1>{t("presets")}</h1>
            <p className="quiet">{t("presets.what")}</p>
          </div>
          <button
            ref={make}
            type="button"
            className="button primary"
            onClick={() => setSheet({ kind: "form", id: null })}
          >
            <Icon name="new" />
            {t("preset.new")}
          </button>
        </header>
        <Segments
          label={t("presets.filter")}
          chosen={filter}
          options={(["all", ...ALL_WHOSE] as const).map((one) => [one, t(`filter.${one}`)])}
          onChoose={setFilter}
        />
        {(presets.isError || presets.isPaused) && <p className="notice warn">{t("offline.try")}</p>}
        {presets.isSuccess && found.length === 0 && (
          <p className="quiet">{t(filter === "shared" ? "presets.none_shared" : "presets.none")}</p>
        )}
        <ul className="cards">
          {found.map((preset) => (
            <Card
              key={preset.id}
              preset={preset}
              whose={whoseIs(preset, me)}
              onOpen={setSheet}
              onGone={() => make.current?.focus()}
            />
          ))}
        </ul>
      </div>
      <Suspense>
        {sheet?.kind === "form" && <PresetForm id={sheet.id} copyOf={sheet.copyOf ?? null} onClose={close} />}
        {sheet?.kind === "sharing" && opened !== undefined && <Sharing preset={opened} onClose={close} />}
        {sheet?.kind === "versions" && opened !== undefined && <Versions preset={opened} onClose={close} />}
      </Suspense>
    </main>
  );
}

interface CardProps {
  preset: PresetListed;
  whose: Whose;
  onOpen: (sheet: Sheet) => void;
  onGone: () => void;
}

function Card({ preset, whose, onOpen, onGone }: CardProps) {
  const t = useMoreWords();
  const [, go] = useLocation();
  const queries = useQueryClient();
  const mayShare = useWho().data?.isGuest === false;
  const [sure, setSure] = useState(false);
  const use = () => startFrom(preset.id).then((session) => go(`/c/${session.id}`), sayRefused);
  const remove = async () => {
    setSure(false);
    try {
      await ask("DELETE", `ai-chat/api/presets/${preset.id}/`);
    } catch (error) {
      sayRefused(error);
    }
    await queries.invalidateQueries({ queryKey: ["presets"] });
    onGone();
  };
  const { id } = preset;
  const copy: Item = {
    label: t("preset.copy"),
    icon: "copy",
    run: () => onOpen({ kind: "form", id: null, copyOf: id }),
  };
  const own: (Item | "line")[] = [
    { label: t("edit"), icon: "edit", run: () => onOpen({ kind: "form", id }) },
    copy,
    ...(mayShare
      ? [{ label: t("sharing"), icon: "share", run: () => onOpen({ kind: "sharing", id }) } as const]
      : []),
    { label: t("versions"), icon: "history", run: () => onOpen({ kind: "versions", id }) },
    "line",
    { label: t("delete"), icon: "trash", danger: true, run: () => setSure(true) },
  ];
  return (
    <li className="card">
      <h2>{preset.name}</h2>
      <p>{preset.description}</p>
      <small>
        {preset.model_name} · {words()}
      </small>
      <div className="actions">
        <button type="button" className="button" onClick={use}>
          {t("preset.use")}
        </button>
        <Menu label={t("preset.menu", { name: preset.name })} items={whose === "own" ? own : [copy]}>
          <Icon name="more" />
        </Menu>
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

  function words(): string {
    if (preset.created_by === null) return t("preset.built_in");
    if (whose === "own") return t(preset.is_public ? "preset.public" : "preset.own");
    return t(whose === "shared" ? "preset.shared_by" : "preset.by", { name: makerOf(preset) });
  }
}
