import { lazy, Suspense, useEffect, useState } from "react";
import { useLocation } from "wouter";
import { useModels, usePresets } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import { comeBack, listLine } from "../list/list.ts";
import { Away, useAway } from "../parts/away.tsx";
import { ModelOptions } from "../parts/model_options.tsx";
import { showTitle } from "../parts/title.ts";
import { useWatched } from "../parts/watched.ts";
import { useWho } from "../people/people.ts";
import { useWords } from "../words/index.ts";
import { Composer } from "./composer.tsx";
import { draftOf, keepDraft, NEW_COLLECTION } from "./drafts.ts";
import { ModelNotice } from "./model_notice.tsx";
import { type Beginning, giveUpStarting, leftUnstarted, start, startFrom, unstarted } from "./start.ts";

const CollectionPicker = lazy(() => import("../knowledge/picker.tsx"));

const SUGGESTED = 4;
const PLACE = "new";
/** Kept as drafts are, and as long. */
const MODEL = "new.model";

export function NewConversation() {
  const t = useWords();
  const [, go] = useLocation();
  const who = useWho().data;
  const models = useModels().data;
  const presets = usePresets().data ?? [];
  const [chosen, setChosen] = useState(() => draftOf(MODEL));
  const isOffered = models === undefined || models.some(({ name }) => name === chosen);
  const model = isOffered && chosen !== "" ? chosen : null;
  const waiting = useWatched(unstarted);
  const away = useAway(useWatched(listLine));
  useEffect(() => {
    showTitle("");
    const left = leftUnstarted();
    if (left !== null) void begin(left, true);
  }, []);

  const begin = async (beginning: Beginning, again = false) => {
    try {
      const id = await start(beginning, again);
      if (id === null) return;
      keepDraft(MODEL, "");
      keepDraft(NEW_COLLECTION, "");
      go(`/c/${id}`);
    } catch (error) {
      keepDraft(PLACE, beginning.text);
      sayRefused(error);
    }
  };
  const choose = (name: string) => {
    setChosen(name);
    keepDraft(MODEL, name);
  };
  const beginFrom = async (preset: number) => {
    try {
      go(`/c/${(await startFrom(preset)).id}`);
    } catch (error) {
      sayRefused(error);
    }
  };
  return (
    <main className="welcome">
      <div className="welcome-inside">
        <h1>{who?.name ? t("hello.name", { name: who.name }) : t("hello")}</h1>
        <ModelNotice />
        {away && <Away onTry={comeBack} />}
        {waiting === null ? (
          <Composer
            place={PLACE}
            onSend={(text) => begin({ text, model, collection: draftOf(NEW_COLLECTION) })}
          >
            {models !== undefined && models.length > 0 && (
              <label className="model-picker">
                <span className="visually-hidden">{t("model")}</span>
                <select value={model ?? ""} onChange={(event) => choose(event.target.value)}>
                  <option value="">{t("model.default")}</option>
                  <ModelOptions />
                </select>
              </label>
            )}
            <Suspense>
              <CollectionPicker />
            </Suspense>
          </Composer>
        ) : (
          <NotStarted text={waiting} />
        )}
        {presets.length > 0 && (
          <section className="suggestions" aria-label={t("presets")}>
            {presets.slice(0, SUGGESTED).map((preset) => (
              <button
                key={preset.id}
                type="button"
                className="suggestion"
                onClick={() => beginFrom(preset.id)}
              >
                <strong>{preset.name}</strong>
                <small>{preset.description || preset.model_name}</small>
              </button>
            ))}
          </section>
        )}
      </div>
    </main>
  );
}

/** Beginning takes a moment; only what takes longer is worth a word. */
function NotStarted({ text }: { text: string }) {
  const t = useWords();
  const [long, setLong] = useState(!navigator.onLine);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), 1500);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="not-started" role="status">
      <div className="bubble plain">{text}</div>
      {long && (
        <p className="waits">
          <span className="dot" />
          {t("sent.later")}
          <button
            type="button"
            className="link"
            onClick={() => {
              keepDraft(PLACE, text);
              giveUpStarting();
            }}
          >
            {t("take_back")}
          </button>
        </p>
      )}
    </div>
  );
}
