/** How this browser shows things. */

import { keep, kept } from "../parts/kept.ts";
import { Watched } from "../parts/watched.ts";

/** Whether a reply is shown while it is written, or only once it is whole. */
export const streaming = new Watched<boolean>(kept("streaming", true));

export function chooseStreaming(on: boolean): void {
  keep("streaming", on);
  streaming.set(on);
}
