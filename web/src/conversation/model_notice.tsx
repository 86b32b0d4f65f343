import { lazy, Suspense } from "react";
import { useHealth } from "../api/queries.ts";
import { useIsDummy } from "./dummy.ts";

const NoModel = lazy(() => import("./no_model.tsx"));

/** Who answers, where that is no model; and how it comes to be one. */
export function ModelNotice() {
  const isDummy = useIsDummy();
  const health = useHealth().data;
  const silent = health?.llm_server_healthy === false ? health.llm_server_url : null;
  if (!isDummy && silent === null) return null;
  return (
    <Suspense>
      <NoModel silent={isDummy ? null : silent} />
    </Suspense>
  );
}
