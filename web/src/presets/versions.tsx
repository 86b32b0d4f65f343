/** What a preset was before each of its changes, and the way back. */

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { useVersion, useVersions } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import type { PresetListed, VersionShown, WholeVersion } from "../api/schema.ts";
import { useCollections } from "../knowledge/queries.ts";
import { useKnowledgeWords } from "../knowledge/words.ts";
import { Dialog } from "../parts/dialog.tsx";
import { say } from "../parts/toasts.ts";
import { language } from "../words/index.ts";
import { type MoreWord, useMoreWords } from "../words/more.ts";
import { compare } from "./lines.ts";

export default function Versions({ preset, onClose }: { preset: PresetListed; onClose: () => void }) {
  const t = useMoreWords();
  const queries = useQueryClient();
  const { data: versions, isError } = useVersions(preset.id);
  const [open, setOpen] = useState<number | null>(null);
  const newest = versions?.[0]?.number;
  const goBack = async (version: number, instead?: number) => {
    try {
      await ask("POST", `ai-chat/api/presets/${preset.id}/rollback/`, { version });
      await queries.invalidateQueries({ queryKey: ["presets"] });
      const undo = instead === undefined ? undefined : { label: t("undo"), run: () => void goBack(instead) };
      say(t("version.back", { number: version }), undo);
      onClose();
    } catch (error) {
      sayRefused(error);
    }
  };
  return (
    <Dialog title={t("versions.of", { name: preset.name })} onClose={onClose} side>
      <p className="quiet">{t("versions.what")}</p>
      {isError && <p className="notice warn">{t("offline.try")}</p>}
      <ol className="versions">
        {(versions ?? []).map((version) => (
          <li key={version.number}>
            <button
              type="button"
              aria-expanded={open === version.number}
              onClick={() => setOpen(open === version.number ? null : version.number)}
            >
              <strong>{t("version", { number: version.number })}</strong>
              {version.number === newest && <span className="tag">{t("version.now")}</span>}
              <small>{told(version)}</small>
            </button>
            {open === version.number && newest !== undefined && (
              <Content
                preset={preset.id}
                number={version.number}
                now={newest}
                onBack={() => goBack(version.number, newest)}
              />
            )}
          </li>
        ))}
      </ol>
    </Dialog>
  );
}

function told({ created_at, created_by }: VersionShown): string {
  const format = new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" });
  const time = format.format(new Date(created_at));
  return created_by === null ? time : `${time} · ${created_by.username}`;
}

interface ContentProps {
  preset: number;
  number: number;
  now: number;
  onBack: () => void;
}

/** What it said, and where it differs from what the preset says now. */
function Content({ preset, number, now, onBack }: ContentProps) {
  const t = useKnowledgeWords();
  const collections = useCollections().data ?? [];
  const version = useVersion(preset, number).data;
  const current = useVersion(preset, now).data;
  if (version === undefined || current === undefined) return <div className="loading" aria-busy="true" />;
  const others: [Parameters<typeof t>[0], string | null][] = differences(current, version);
  const { collection } = version.settings;
  if (collection !== current.settings.collection) {
    const named = collections.find(({ id }) => id === collection)?.name ?? collection;
    others.push(["collection.field", named ?? t("collection.no")]);
  }
  return (
    <div className="version">
      {others.length > 0 && (
        <dl>
          {others.map(([word, value]) => (
            <div key={word}>
              <dt>{t(word)}</dt>
              <dd>{value ?? t("default")}</dd>
            </div>
          ))}
        </dl>
      )}
      <pre className="compared">
        {compare(current.system_prompt, version.system_prompt).map(({ kind, line }, index) => (
          <Line key={index} kind={kind} line={line} />
        ))}
      </pre>
      {number !== now && (
        <button type="button" className="button" onClick={onBack}>
          {t("version.go_back")}
        </button>
      )}
    </div>
  );
}

function Line({ kind, line }: { kind: "same" | "new" | "old"; line: string }) {
  const t = useMoreWords();
  const text = line === "" ? "\u00a0" : line;
  if (kind === "same") return <span>{text}</span>;
  // A line of the present one that was not in it then is taken away by going back.
  return kind === "new" ? (
    <ins>
      <span className="visually-hidden">{t("version.then")} </span>
      {text}
    </ins>
  ) : (
    <del>
      <span className="visually-hidden">{t("version.only_now")} </span>
      {text}
    </del>
  );
}

const SETTINGS = {
  model_name: "model",
  temperature: "temperature",
  max_tokens: "max_tokens",
  enable_tools: "tools",
  window: "window",
  token_budget: "token_budget",
  presence_penalty: "presence",
  frequency_penalty: "frequency",
  caches_answers: "caches",
} as const satisfies Record<string, MoreWord>;

function differences(now: WholeVersion, then: WholeVersion): [MoreWord, string | null][] {
  const found: [MoreWord, string | null][] = [];
  if (now.name !== then.name) found.push(["preset.name", then.name]);
  if (now.description !== then.description) found.push(["preset.description", then.description || "–"]);
  for (const [name, word] of Object.entries(SETTINGS)) {
    const key = name as keyof typeof SETTINGS;
    if (now.settings[key] !== then.settings[key]) found.push([word, spell(then.settings[key])]);
  }
  return found;
}

function spell(value: string | number | boolean | null): string | null {
  if (typeof value === "boolean") return value ? "✓" : "✗";
  return typeof value === "number" ? new Intl.NumberFormat(language()).format(value) : value;
}
