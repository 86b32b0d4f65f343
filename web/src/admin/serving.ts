/** What is asked of the LLM servers, in the admin's pages and where the first one is connected. */

import { useQueryClient } from "@tanstack/react-query";
import { ask } from "../api/http.ts";
import type { Synced, TrialShown } from "../api/schema.ts";
import type { Say } from "./words.ts";

export const SERVERS = ["admin", "servers"];
export const MODELS = ["admin", "models"];

export function testServer(name: string): Promise<TrialShown> {
  return ask<TrialShown>("POST", `api/admin/servers/${name}/test`, {});
}

/** All of them are asked for their models now. */
export function syncModels(): Promise<Synced> {
  return ask<Synced>("POST", "ai-chat/api/models/sync_models/", {});
}

/** All that the page shows of servers and models is looked at again, the picker of models too. */
export function useAnew(): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    const keys = [SERVERS, MODELS, ["models"], ["health"]];
    await Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));
  };
}

export function trialWords(t: Say, trial: TrialShown): string {
  return trial.problem === null
    ? t("trial.good", { n: trial.models.length, milliseconds: trial.milliseconds })
    : t(`trial.${trial.problem}`);
}
