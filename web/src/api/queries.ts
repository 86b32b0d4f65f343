/** What the app asks for besides the conversations themselves. */

import { useQuery } from "@tanstack/react-query";
import { ask } from "./http.ts";
import type { LlmHealth, ModelShown, PresetListed, PresetShown } from "./schema.ts";

const HEALTH_EVERY = 60_000;

export function useModels() {
  return useQuery({ queryKey: ["models"], queryFn: () => ask<ModelShown[]>("GET", "ai-chat/api/models/") });
}

export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: () => ask<LlmHealth>("GET", "ai-chat/api/health/llm_server/"),
    refetchInterval: HEALTH_EVERY,
  });
}

/** Others make some, too: what is known is shown, and looked at again. */
export function usePresets() {
  return useQuery({
    queryKey: ["presets"],
    queryFn: () => ask<PresetListed[]>("GET", "ai-chat/api/presets/"),
    staleTime: 0,
  });
}

export function usePreset(id: number | null) {
  return useQuery({
    queryKey: ["presets", id],
    queryFn: () => ask<PresetShown>("GET", `ai-chat/api/presets/${id}/`),
    enabled: id !== null,
  });
}
