/** Requests to the server that the page came from, behind whatever path it is. */

const BASE = new URL(".", document.baseURI);

/** The server said no. `message` is its own word for people, in their language. */
export class Refused extends Error {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly retryAfter: number | null;

  constructor(status: number, message: string, fields: Record<string, string>, retryAfter: number | null) {
    super(message);
    this.status = status;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }
}

/** There is no way to the server just now. */
export class Unreachable extends Error {}

export function addressOf(path: string): URL {
  return new URL(path, BASE);
}

export function socketAddress(path: string): URL {
  const url = addressOf(path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The answer's body. Throws `Refused` or `Unreachable`. */
export async function ask<T>(method: Method, path: string, body?: unknown, leaving = false): Promise<T> {
  const headers = headersOf(method);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    const init: RequestInit = { method, headers, keepalive: leaving };
    answer = await fetch(
      addressOf(path),
      body === undefined ? init : { ...init, body: JSON.stringify(body) },
    );
  } catch {
    throw new Unreachable(path);
  }
  const text = await answer.text();
  if (!answer.ok) throw refusal(answer.status, answer.headers.get("Retry-After"), text);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export function headersOf(method: Method): Record<string, string> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (document.documentElement.lang !== "") headers["Accept-Language"] = document.documentElement.lang;
  return headers;
}

function csrfToken(): string {
  return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

export function refusal(status: number, wait: string | null, text: string): Refused {
  const retryAfter = Number(wait) || null;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return new Refused(status, "", {}, retryAfter);
  }
  const said = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const words = [said.detail, said.error].find((word) => typeof word === "string") ?? "";
  const fields = Object.entries(said).flatMap(([name, problems]): [string, string][] => {
    if (!Array.isArray(problems)) return [];
    return name === "detail" ? problems.flatMap(located) : [[name, String(problems[0])]];
  });
  return new Refused(status, String(words) || (fields[0]?.[1] ?? ""), Object.fromEntries(fields), retryAfter);
}

/** A problem as FastAPI tells it: where it is, and what. */
function located(problem: unknown): [string, string][] {
  const { loc, msg } = problem as { loc?: unknown[]; msg?: unknown };
  return Array.isArray(loc) && typeof msg === "string" ? [[String(loc[1] ?? ""), msg]] : [];
}
