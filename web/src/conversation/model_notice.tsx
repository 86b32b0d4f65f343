import { useHealth } from "../api/queries.ts";
import { Icon } from "../parts/icon.tsx";
import { useWho } from "../people/people.ts";
import { useWords } from "../words/index.ts";

/** Who answers, where that is no model. */
export function ModelNotice() {
  const t = useWords();
  const who = useWho().data;
  const health = useHealth().data;
  if (health === undefined || health.llm_server_healthy || who?.isGuest) return null;
  if (health.llm_server_url !== null) {
    return (
      <p className="notice warn">
        <Icon name="warn" />
        <span>{t("model.down", { url: health.llm_server_url })}</span>
      </p>
    );
  }
  return (
    <details className="notice dummy">
      <summary>
        <Icon name="bot" />
        <span>{t("dummy")}</span>
      </summary>
      <p>{t("dummy.how")}</p>
      <pre className="command">LLM_SERVER_URL=http://localhost:11434 make run</pre>
      <p>{t("dummy.found")}</p>
    </details>
  );
}
