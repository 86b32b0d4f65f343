/** Where the keyboard goes. */

export function toComposer(): void {
  document.getElementById("composer")?.focus();
}

/** After something that takes away what was focused. On a phone it would open the keyboard over what is to be read. */
export function backToComposer(): void {
  if (!matchMedia("(pointer: coarse)").matches) toComposer();
}
