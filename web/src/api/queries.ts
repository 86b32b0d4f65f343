/** What the app asks for besides the conversations themselves. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { ask } from "./http.ts";
import type {
  LlmHealth,
  ModelHealth,
  ModelShown,
  PresetListed,
  PresetShown,
  SettingsShown,
  Shares,
  UsedInSession,
  VersionShown,
  WholeVersion,
} from "./schema.ts";

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

/** What is known of who answers is old once a reply has failed. */
export function useHealthAnew(failures: number): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (failures > 0) void queries.invalidateQueries({ queryKey: ["health"] });
  }, [failures, queries]);
}

/** By the model's name: whether it answers just now; null where nobody knows. */
export function useModelsHealth(): (name: string) => boolean | null {
  // This one asks the servers, the other tells how they did when they were last asked.
  const noneAnswers = useHealth().data?.llm_server_healthy === false;
  const { data } = useQuery({
    queryKey: ["health", "models"],
    queryFn: () => ask<ModelHealth[]>("GET", "ai-chat/api/health/models/"),
    refetchInterval: HEALTH_EVERY,
    select: toMap,
  });
  return (name) => (noneAnswers ? false : (data?.get(name) ?? null));
}

function toMap(told: readonly ModelHealth[]): ReadonlyMap<string, boolean | null> {
  return new Map(told.map((model) => [model.name, model.healthy]));
}

/** Whatever has been changed elsewhere is seen when it is opened. */
export function useSettings(of: "sessions" | "presets", id: string | number | null) {
  return useQuery({
    queryKey: [of, id, "settings"],
    queryFn: () => ask<SettingsShown>("GET", `ai-chat/api/${of}/${id}/settings/`),
    enabled: id !== null,
    staleTime: 0,
    gcTime: 0,
  });
}

/** What all its answers have used: another sum with each of them. */
export function useSessionUsage(id: string) {
  return useQuery({
    queryKey: ["sessions", id, "usage"],
    queryFn: () => ask<UsedInSession>("GET", `ai-chat/api/sessions/${id}/usage/`),
    staleTime: 0,
    gcTime: 0,
  });
}

/** Those that are meant for this person. Others make some, too: what is known is shown, and looked at again. */
export function usePresets() {
  return useQuery({
    queryKey: ["presets"],
    queryFn: () => ask<PresetListed[]>("GET", "ai-chat/api/presets/?as_user=1"),
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

export function useShares(preset: number) {
  return useQuery({
    queryKey: ["presets", preset, "shares"],
    queryFn: () => ask<Shares>("GET", `ai-chat/api/presets/${preset}/shares/`),
    staleTime: 0,
  });
}

export function useVersions(preset: number) {
  return useQuery({
    queryKey: ["presets", preset, "versions"],
    queryFn: () => ask<VersionShown[]>("GET", `ai-chat/api/presets/${preset}/versions/`),
    staleTime: 0,
  });
}

/** What a version says never changes. */
export function useVersion(preset: number, number: number) {
  return useQuery({
    queryKey: ["presets", preset, "versions", number],
    queryFn: () => ask<WholeVersion>("GET", `ai-chat/api/presets/${preset}/versions/${number}/`),
  });
}
