/** What is asked for a model, and when. */

import type { PriceShown } from "../api/schema.ts";
import { MILLIONTHS } from "../parts/money.ts";

/** Of what somebody has written, with a point or a comma. */
export function toMillionths(text: string): number {
  return Math.round(Number(text.replace(",", ".")) * MILLIONTHS);
}

/** The price that holds at that moment: the last one that has begun. */
export function priceOf(prices: readonly PriceShown[], model: string, at: number): PriceShown | undefined {
  return prices
    .filter((price) => price.model === model && Date.parse(price.since) <= at)
    .reduce<PriceShown | undefined>(
      (last, price) =>
        last !== undefined && Date.parse(last.since) >= Date.parse(price.since) ? last : price,
      undefined,
    );
}
