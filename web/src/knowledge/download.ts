import { addressOf } from "../api/http.ts";
import { documentPath } from "./queries.ts";

/** As a link does: the browser asks for it with who is signed in, and keeps it as a file. */
export function download(id: string, name: string): void {
  const link = document.createElement("a");
  link.href = addressOf(`${documentPath(id)}file/`).href;
  link.download = name;
  link.click();
}
