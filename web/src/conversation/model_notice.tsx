import { lazy, Suspense } from "react";
import { Link } from "wouter";
import { useHealth } from "../api/queries.ts";
import { Icon } from "../parts/icon.tsx";
import { useIsAdmin } from "../people/people.ts";
import { useWords } from "../words/index.ts";
import { useIsDummy } from "./dummy.ts";

const Connect = lazy(() => import("../admin/connect.tsx"));

/** Who answers, where that is no model; and how it comes to be one. */
export function ModelNotice() {
  const t = useWords();
  const isAdmin = useIsAdmin();
  const isDummy = useIsDummy();
  const health = useHealth().data;
  if (!isDummy) {
    if (health === undefined || health.llm_server_healthy || health.llm_server_url === null) return null;
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
