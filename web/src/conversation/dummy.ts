import { useHealth, useModels } from "../api/queries.ts";
import { useWho } from "../people/people.ts";

/** Whether no model is connected, so that a dummy answers, or a bot that somebody has installed. */
export function useIsDummy(): boolean {
  const isGuest = useWho().data?.isGuest;
  const health = useHealth().data;
  const models = useModels().data;
  if (health === undefined || models === undefined || health.llm_server_healthy) return false;
  // Guests are not told where a server is. One that was ever there has left its models.
  return health.llm_server_url === null && !(isGuest && models.length > 0);
}
