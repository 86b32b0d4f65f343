/** All presets there are, whoever made them. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { ask } from "../api/http.ts";
import type { PresetOverview, Shares } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Fetched } from "../parts/fetched.tsx";
import { Icon } from "../parts/icon.tsx";
import type { Item } from "../parts/menu.tsx";
import { Sure } from "../parts/sure.tsx";
import { PresetForm } from "../presets/form.tsx";
import { Field, type Filled, Form, Switch } from "./form.tsx";
import { Row, Rows } from "./row.tsx";
import { Section } from "./section.tsx";
import { useAdminWords } from "./words.ts";

const PRESETS = ["presets"];

type Open = "new" | { edit: number } | { share: PresetOverview } | { erase: PresetOverview } | null;

export function AllPresets() {
  const t = useAdminWords();
  const queries = useQueryClient();
  const presets = useQuery({
    queryKey: [...PRESETS, "all"],
    queryFn: () => ask<PresetOverview[]>("GET", "api/admin/presets"),
    staleTime: 0,
  });
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const anew = () => queries.invalidateQueries({ queryKey: PRESETS });
  const itemsOf = (preset: PresetOverview): (Item | "line")[] => [
    { label: t("edit"), icon: "edit", run: () => setOpen({ edit: preset.id }) },
    ...(preset.owner === null
      ? []
      : ([
          { label: t("preset.share"), icon: "person", run: () => setOpen({ share: preset }) },
          "line",
          { label: t("delete.more"), icon: "trash", danger: true, run: () => setOpen({ erase: preset }) },
        ] as const)),
  ];
  return (
    <Section
      title={t("presets")}
      what={t("presets.what")}
      actions={
        <button type="button" className="button primary" onClick={() => setOpen("new")}>
          <Icon name="new" />
          {t("preset.new")}
        </button>
      }
    >
      <Fetched query={presets}>
        {(all) => (
          <Rows none={t("presets.none")}>
            {all.map((preset) => (
              <Row
                key={preset.id}
                name={preset.name}
                badges={[
                  preset.is_public && ["good", t("preset.public")],
                  preset.shared_with > 0 && ["plain", t("preset.shared", { n: preset.shared_with })],
                ]}
                items={itemsOf(preset)}
              >
                {preset.description && <p>{preset.description}</p>}
                <p>
                  {[
                    preset.owner === null ? t("preset.built_in") : t("preset.by", { name: preset.owner }),
                    preset.model_name ?? t("preset.model"),
                    t("preset.used", { n: preset.used }),
                  ].join(" · ")}
                </p>
              </Row>
            ))}
          </Rows>
        )}
      </Fetched>
      <Suspense>
        {open === "new" && <PresetForm id={null} onClose={close} />}
        {open !== null && open !== "new" && "edit" in open && <PresetForm id={open.edit} onClose={close} />}
      </Suspense>
      {open !== null && open !== "new" && "share" in open && (
        <Sharing preset={open.share} onClose={close} onChange={anew} />
      )}
      {open !== null && open !== "new" && "erase" in open && (
        <Sure
          title={t("erase.title", { name: open.erase.name })}
          what={t("preset.erase.what")}
          go={t("erase")}
          run={() => ask("DELETE", `ai-chat/api/presets/${open.erase.id}/`).then(anew)}
          onClose={close}
        />
      )}
    </Section>
  );
}

interface SharingProps {
  preset: PresetOverview;
  onClose: () => void;
  onChange: () => Promise<void>;
}

function Sharing({ preset, onClose, onChange }: SharingProps) {
  const t = useAdminWords();
  const path = `ai-chat/api/presets/${preset.id}/`;
  const shares = useQuery({
    queryKey: [...PRESETS, preset.id, "shares"],
    queryFn: () => ask<Shares>("GET", `${path}shares/`),
    staleTime: 0,
    gcTime: 0,
  });
  const save = async (filled: Filled) => {
    await ask("PUT", `${path}shares/`, { usernames: filled.list("usernames") });
    await ask("PATCH", path, { is_public: filled.on("is_public") });
    await onChange();
    onClose();
  };
  return (
    <Dialog title={t("preset.share.of", { name: preset.name })} onClose={onClose}>
      <Fetched query={shares}>
        {({ usernames }) => (
          <Form save={save} onCancel={onClose} go={t("save")}>
            <Switch name="is_public" label={t("preset.share.all")} on={preset.is_public} />
            <Field
              name="usernames"
              label={t("preset.share.names")}
              hint={t("preset.share.hint")}
              value={usernames.join("\n")}
              rows={4}
              plain
            />
          </Form>
        )}
      </Fetched>
    </Dialog>
  );
}
