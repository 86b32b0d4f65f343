/** Days, times, numbers and money as people write them in the language that is chosen. */

import { money } from "../parts/money.ts";
import { useLanguage } from "../words/index.ts";

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
    money: (millionths: number, currency: string) => money(millionths, currency, language),
  };
}
