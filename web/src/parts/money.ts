/** Money goes over the wire in millionths, so that it stays whole. */

export const MILLIONTHS = 1_000_000;

/** Small sums in full. The operator's currency may be none that the browser knows. */
export function money(millionths: number, currency: string, language: string): string {
  const amount = millionths / MILLIONTHS;
  const digits = { maximumFractionDigits: Math.abs(amount) < 10 ? 4 : 2, minimumFractionDigits: 2 };
  try {
    const shown = { ...digits, style: "currency", currency, currencyDisplay: "narrowSymbol" } as const;
    return new Intl.NumberFormat(language, shown).format(amount);
  } catch {
    return `${new Intl.NumberFormat(language, digits).format(amount)} ${currency}`;
  }
}
