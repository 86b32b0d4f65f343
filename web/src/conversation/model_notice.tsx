import { lazy, Suspense } from "react";
import { Link } from "wouter";
import { useHealth, useModels } from "../api/queries.ts";
import { Icon } from "../parts/icon.tsx";
import { useIsAdmin, useWho } from "../people/people.ts";
import { useWords } from "../words/index.ts";

const Connect = lazy(() => import("../admin/connect.tsx"));

/** Who answers, where that is no model; and how it comes to be one. */
export function ModelNotice() {
  const t = useWords();
  const who = useWho().data;
  const isAdmin = useIsAdmin();
  const health = useHealth().data;
  const models = useModels().data;
  if (health === undefined || models === undefined || health.llm_server_healthy) return null;
  if (health.llm_server_url !== null) {
    return (
      <p className="notice warn">
        <Icon name="warn" />
        <span>
          {t("model.down", { url: health.llm_server_url })}
          {isAdmin && (
            <>
              {" "}
              <Link href="/administration/servers">{t("administration")}</Link>
            </>
          )}
        </span>
      </p>
    );
  }
  // Guests are not told where a server is. One that was ever there has left its models.
  if (who?.isGuest && models.length > 0) return null;
  return (
    <details className="notice dummy">
      <summary>
        <Icon name="bot" />
        <span>{t("dummy")}</span>
      </summary>
      {isAdmin ? (
        <Suspense>
          <Connect />
        </Suspense>
      ) : (
        isAdmin === false && <p>{t("dummy.ask")}</p>
      )}
    </details>
  );
}
