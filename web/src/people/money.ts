import { language } from "../words/index.ts";

const MILLION = 1_000_000;

/** Of millionths. The operator's currency may be none that the browser knows. */
export function money(millionths: number, currency: string): string {
  const amount = millionths / MILLION;
  const few = amount < 1 ? { maximumFractionDigits: 4 } : {};
  try {
    return new Intl.NumberFormat(language(), { style: "currency", currency, ...few }).format(amount);
  } catch {
    return `${new Intl.NumberFormat(language(), few).format(amount)} ${currency}`;
  }
}
