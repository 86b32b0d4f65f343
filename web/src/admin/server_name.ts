/** What a server is called that nobody has named. */

const LONGEST = 46;

/** The host and port of its address, in the letters that a name may have. */
export function toServerName(url: string, tried = 1): string {
  let place = url;
  try {
    place = new URL(url).host;
  } catch {
    // The server says what is wrong with the address.
  }
  const name = place
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .slice(0, LONGEST)
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return `${name || "server"}${tried === 1 ? "" : `-${tried}`}`;
}
