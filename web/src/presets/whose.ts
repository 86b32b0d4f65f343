/** Whose a preset is, as seen by one person. */

import type { PresetListed } from "../api/schema.ts";

export type Whose = "own" | "shared" | "public";

export const ALL_WHOSE: readonly Whose[] = ["own", "shared", "public"];

/** Of those that are meant for this person: what comes with the server is everybody's. */
export function whoseIs(preset: PresetListed, me: string | null): Whose {
  if (preset.created_by !== null && preset.created_by.username === me) return "own";
  return preset.is_public ? "public" : "shared";
}

export function makerOf(preset: PresetListed): string {
  const { first_name = "", last_name = "", username = "" } = preset.created_by ?? {};
  return `${first_name} ${last_name}`.trim() || username;
}
