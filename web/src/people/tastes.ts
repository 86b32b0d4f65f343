/** How this browser shows things. */

import { keep, kept } from "../parts/kept.ts";
import { Watched } from "../parts/watched.ts";

/** Whether a reply is shown while it is written, or only once it is whole. */
export const streaming = new Watched<boolean>(kept("streaming", true));

export function chooseStreaming(on: boolean): void {
  keep("streaming", on);
  streaming.set(on);
}

/** Whether the list stands beside the conversation, where there is room for it. */
export const sidebar = new Watched<boolean>(kept("sidebar", true));

export function chooseSidebar(on: boolean): void {
  keep("sidebar", on);
  sidebar.set(on);
}
