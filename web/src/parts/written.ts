/** Whether anything in forms is other than it was. */

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export class WrittenIn {
  private readonly before = new Map<Field, string>();

  /** Notes how each field begins. To be called before anybody can change one: some come later than others. */
  look(place: Element): void {
    for (const field of place.querySelectorAll<Field>("form :is(input, textarea, select)")) {
      if (!this.before.has(field)) this.before.set(field, contentOf(field));
    }
  }

  /** It is saved as it is now. */
  forget(): void {
    this.before.clear();
  }

  isChanged(): boolean {
    return [...this.before].some(([field, value]) => field.isConnected && contentOf(field) !== value);
  }
}

function contentOf(field: Field): string {
  const isTicked = field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type);
  return isTicked ? String(field.checked) : field.value;
}
