/** The first model in one step: the address of a server, and its models can be talked to. */

import { ask, Refused } from "../api/http.ts";
import "./admin.css";
import type { ServerShown } from "../api/schema.ts";
import { say } from "../parts/toasts.ts";
import { Field, FieldProblem, type Filled, Form } from "./form.tsx";
import { toServerName } from "./server_name.ts";
import { syncModels, testServer, trialWords, useAnew } from "./serving.ts";
import { useAdminWords } from "./words.ts";

const TRIES = 9;

export default function Connect() {
  const t = useAdminWords();
  const anew = useAnew();
  const connect = async (filled: Filled) => {
    const { name } = await add(filled.text("url"), filled.text("key"));
    const trial = await testServer(name);
    if (trial.problem !== null || trial.models.length === 0) {
      // It would stand in the way of the dummy, and answer nobody.
      await ask("DELETE", `api/admin/servers/${name}`);
      throw new FieldProblem(trial.problem === "key" ? "key" : "url", trialWords(t, trial));
    }
    await syncModels();
    say(`${name}: ${trialWords(t, trial)}`);
    await anew();
  };
  return (
    <div className="connect">
      <p>{t("connect.how")}</p>
      <Form save={connect} go={t("connect")}>
        <Field
          name="url"
          label={t("server.url")}
          placeholder="http://localhost:11434"
          required
          most={500}
          plain
        />
        <Field name="key" label={t("connect.key")} type="password" most={500} />
      </Form>
      <p className="quiet">{t("connect.found")}</p>
    </div>
  );
}

/** Under a name that its address suggests, and that no other one has. */
async function add(url: string, key: string): Promise<ServerShown> {
  for (let tried = 1; ; tried += 1) {
    const name = toServerName(url, tried);
    try {
      return await ask<ServerShown>("POST", "api/admin/servers", {
        name,
        url,
        ...(key === "" ? {} : { key }),
      });
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409) || tried === TRIES) throw error;
    }
  }
}
