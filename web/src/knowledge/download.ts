import { onlineManager } from "@tanstack/react-query";
import { addressOf } from "../api/http.ts";
import { say } from "../parts/toasts.ts";
import { t } from "../words/index.ts";
import { documentPath } from "./queries.ts";

/** As a link does: the browser asks for it with who is signed in, and keeps it as a file. */
export function download(id: string, name: string): void {
  if (!onlineManager.isOnline()) {
    say(t("offline.try"));
    return;
  }
  const link = document.createElement("a");
  link.href = addressOf(`${documentPath(id)}file/`).href;
  link.download = name;
  link.click();
}
