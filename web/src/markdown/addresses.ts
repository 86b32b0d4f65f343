/** Where a link or an image in somebody's text may lead. Whatever else it is stays text. */

export interface Place {
  href: string;
  /** The host, or the mail address: what a reader can judge it by. */
  shown: string;
}

export function linkTo(address: string): Place | null {
  const url = parse(address);
  if (url === null) return null;
  if (url.protocol === "mailto:") return { href: url.href, shown: url.pathname };
  return isWeb(url) ? { href: url.href, shown: url.host } : null;
}

/** By https alone: the policy of the page lets nothing else through. */
export function imageAt(address: string): Place | null {
  const url = parse(address);
  return url !== null && url.protocol === "https:" ? { href: url.href, shown: url.host } : null;
}

function isWeb(url: URL): boolean {
  return url.protocol === "https:" || url.protocol === "http:";
}

/** Only what is whole: a text that was written elsewhere knows nothing of the pages here. */
function parse(address: string): URL | null {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}
