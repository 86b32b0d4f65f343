/** Days, times, numbers and money as people write them in the language that is chosen. */

import { useLanguage } from "../words/index.ts";

const MILLION = 1_000_000;

export function useTimes() {
  const language = useLanguage();
  const show = (options: Intl.DateTimeFormatOptions) => (moment: string) =>
    new Intl.DateTimeFormat(language, options).format(new Date(moment));
  return {
    day: show({ dateStyle: "medium" }),
    time: show({ timeStyle: "short" }),
    moment: show({ dateStyle: "medium", timeStyle: "short" }),
    /** A day that is told as such is the same everywhere. */
    date: show({ day: "numeric", month: "short", timeZone: "UTC" }),
  };
}

export function useNumbers() {
  const language = useLanguage();
  const whole = new Intl.NumberFormat(language);
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  return {
    whole: (number: number) => whole.format(number),
    short: (number: number) => short.format(number),
    /** `millionths` of a currency that may be none that the browser knows. */
    money: (millionths: number, currency: string) => {
      const options = {
        maximumFractionDigits: Math.abs(millionths) < 10 * MILLION ? 4 : 2,
        minimumFractionDigits: 2,
      };
      try {
        return new Intl.NumberFormat(language, { ...options, style: "currency", currency }).format(
          millionths / MILLION,
        );
      } catch {
        return `${new Intl.NumberFormat(language, options).format(millionths / MILLION)} ${currency}`;
      }
    },
  };
}
