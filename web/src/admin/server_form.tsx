/** An LLM server, new or another than before. A key goes in and is never shown. */

import { ask } from "../api/http.ts";
import type { ServerShown } from "../api/schema.ts";
import { Dialog } from "../parts/dialog.tsx";
import { say } from "../parts/toasts.ts";
import { Field, type Filled, Form, Switch } from "./form.tsx";
import { testServer, trialWords, useAnew } from "./serving.ts";
import { useAdminWords } from "./words.ts";

/** null adds one. */
export function ServerForm({ server, onClose }: { server: ServerShown | null; onClose: () => void }) {
  const t = useAdminWords();
  const anew = useAnew();
  const save = async (filled: Filled) => {
    const key = filled.text("key");
    const common = {
      url: filled.text("url"),
      models: filled.list("models"),
      weight: filled.number("weight") ?? 1,
      most_at_once: filled.number("most_at_once"),
    };
    const withKey = key === "" ? (filled.on("no_key") ? { key: null } : {}) : { key };
    const kept =
      server === null
        ? await ask<ServerShown>("POST", "api/admin/servers", {
            name: filled.text("name"),
            ...common,
            ...withKey,
          })
        : await ask<ServerShown>("PATCH", `api/admin/servers/${server.name}`, { ...common, ...withKey });
    onClose();
    say(`${kept.name}: ${trialWords(t, await testServer(kept.name))}`);
    await anew();
  };
  return (
    <Dialog title={server === null ? t("server.new") : server.name} onClose={onClose} side>
      <Form save={save} onCancel={onClose} go={server === null ? t("add") : t("save")} about="name">
        {server === null && (
          <Field name="name" label={t("server.name")} hint={t("server.name.hint")} required most={50} plain />
        )}
        <Field
          name="url"
          label={t("server.url")}
          hint={t("server.url.hint")}
          placeholder="http://localhost:11434"
          value={server?.url}
          required
          most={500}
          plain
        />
        <Field
          name="key"
          label={t("server.key")}
          hint={t("server.key.hint")}
          placeholder={server?.has_key ? t("server.key.kept") : undefined}
          type="password"
          most={500}
        />
        {server?.has_key && <Switch name="no_key" label={t("server.key.none")} />}
        <Field
          name="models"
          label={t("server.models")}
          hint={t("server.models.hint")}
          value={server?.models.join("\n")}
          rows={3}
        />
        <Field
          name="weight"
          label={t("server.weight")}
          hint={t("server.weight.hint")}
          value={server?.weight ?? 1}
          type="number"
          min={0}
          step="any"
        />
        <Field
          name="most_at_once"
          label={t("server.most_at_once")}
          hint={t("server.most_at_once.hint")}
          placeholder={t("no_limit")}
          value={server?.most_at_once}
          type="number"
          min={1}
        />
      </Form>
    </Dialog>
  );
}
