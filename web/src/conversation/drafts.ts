import { keep, kept } from "../parts/kept.ts";

/** What was being written where, kept until it is sent. */
export function draftOf(place: string): string {
  return kept(`draft.${place}`, "");
}

export function keepDraft(place: string, text: string): void {
  keep(`draft.${place}`, text === "" ? null : text);
}
