/** Whether somebody looks at that conversation just now. */
export function isLookedAt(id: string): boolean {
  return document.visibilityState === "visible" && location.hash.startsWith(`#/people/${id}`);
}
