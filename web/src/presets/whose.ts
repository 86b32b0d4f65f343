/** Whose a preset is, as seen by one person. */

import type { PresetListed } from "../api/schema.ts";

export type Whose = "own" | "shared" | "public";

export const ALL_WHOSE: readonly Whose[] = ["own", "shared", "public"];

/** What comes with the server is everybody's, or the admins' alone. */
export function whoseIs(preset: PresetListed, me: string | null): Whose {
  if (preset.created_by !== null && preset.created_by.username === me) return "own";
  return preset.is_public || preset.created_by === null ? "public" : "shared";
}

export function makerOf(preset: PresetListed): string {
  const { first_name = "", last_name = "", username = "" } = preset.created_by ?? {};
  return `${first_name} ${last_name}`.trim() || username;
}
