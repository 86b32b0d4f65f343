/** A file on its way to the server, with how far it is: what `fetch` cannot tell. */

import { addressOf, headersOf, refusal, Unreachable } from "./http.ts";

export interface Sending<T> {
  /** What was answered, and with which status. Throws `Refused` or `Unreachable`. */
  answer: Promise<{ status: number; body: T }>;
  /** Then nothing is ever answered. */
  cancel: () => void;
}

/** `onShare`: 0..1. */
export function sendFile<T>(path: string, file: File, onShare: (share: number) => void): Sending<T> {
  const request = new XMLHttpRequest();
  const answer = new Promise<{ status: number; body: T }>((resolve, reject) => {
    request.upload.addEventListener("progress", ({ loaded, total }) =>
      onShare(total === 0 ? 1 : loaded / total),
    );
    request.addEventListener("error", () => reject(new Unreachable(path)));
    request.addEventListener("load", () => {
      const { status, responseText } = request;
      if (status >= 200 && status < 300) resolve({ status, body: JSON.parse(responseText) as T });
      else reject(refusal(status, request.getResponseHeader("Retry-After"), responseText));
    });
  });
  request.open("POST", addressOf(path));
  for (const [name, value] of Object.entries(headersOf("POST"))) request.setRequestHeader(name, value);
  request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
  request.send(file);
  return { answer, cancel: () => request.abort() };
}
