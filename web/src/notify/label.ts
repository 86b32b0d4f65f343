/** What a browser is called among the devices of a person. */

const BROWSERS = { Edg: "Edge", OPR: "Opera", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari" };
const SYSTEMS = ["Android", "iPhone", "iPad", "Windows", "Mac", "CrOS", "Linux"];

/** "Firefox, Android": by what people tell their devices apart. */
export function labelOf(agent: string): string {
  const browser = Object.entries(BROWSERS).find(([sign]) => agent.includes(`${sign}/`))?.[1];
  const system = SYSTEMS.find((sign) => agent.includes(sign));
  return [browser, system].filter(Boolean).join(", ");
}
