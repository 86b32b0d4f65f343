import { lazy, Suspense } from "react";
import { Link } from "wouter";
import { Icon } from "../parts/icon.tsx";
import { useIsAdmin } from "../people/people.ts";
import { useMoreWords } from "../words/more.ts";

const Connect = lazy(() => import("../admin/connect.tsx"));

/** `silent`: the address of the server that does not answer; null where a dummy does in its place. */
export default function NoModel({ silent }: { silent: string | null }) {
  const t = useMoreWords();
  const isAdmin = useIsAdmin();
  if (silent !== null) {
    return (
      <p className="notice warn">
        <Icon name="warn" />
        <span>
          {t("model.down", { url: silent })}
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
