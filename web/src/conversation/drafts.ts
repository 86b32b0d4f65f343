import { keep, kept } from "../parts/kept.ts";

/** What was being written where, kept until it is sent. */
export function draftOf(place: string): string {
  return kept(`draft.${place}`, "");
}

export function keepDraft(place: string, text: string): void {
  keep(`draft.${place}`, text === "" ? null : text);
}

/** What was being written in one place goes on in another, unless something is begun there. */
export function moveDraft(from: string, to: string): void {
  const text = draftOf(from);
  if (text === "" || draftOf(to) !== "") return;
  keepDraft(to, text);
  keepDraft(from, "");
}

/** Where what a conversation is to ask is kept before it begins. */
export const NEW_COLLECTION = "new.collection";

/** A message that is being edited, and how far that is. */
export interface Edit {
  id: string;
  text: string;
}

export function editIn(conversation: string): Edit | null {
  return kept<Edit | null>(`draft.edit.${conversation}`, null);
}

export function keepEdit(conversation: string, edit: Edit | null): void {
  keep(`draft.edit.${conversation}`, edit);
}
