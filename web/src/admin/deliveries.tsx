/** What is on its way to people who are away, and what was given up, and why. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused, wordsOf } from "../api/refused.ts";
import type { DeliveryPage, DeliveryShown } from "../api/schema.ts";
import { Segments } from "../parts/segments.tsx";
import { say } from "../parts/toasts.ts";
import { Row, Rows } from "./row.tsx";
import { Section } from "./section.tsx";
import { useTimes } from "./times.ts";
import { type AdminWord, useAdminWords } from "./words.ts";

const DELIVERIES = ["admin", "deliveries"];
const STATES = ["dead", "waiting", "sent"] as const;
const PAGE = 50;
const LOOK_EVERY = 3_000;

export function Deliveries() {
  const t = useAdminWords();
  const queries = useQueryClient();
  const [state, setState] = useState<(typeof STATES)[number]>("dead");
  const { data, isError, error, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: [...DELIVERIES, state],
    queryFn: ({ pageParam }) => ask<DeliveryPage>("GET", pathOf(state, pageParam)),
    initialPageParam: null as number | null,
    getNextPageParam: ({ deliveries, has_more }) => (has_more ? deliveries.at(-1)?.id : undefined),
    staleTime: 0,
    refetchInterval: LOOK_EVERY,
  });
  const resend = async (delivery: DeliveryShown) => {
    try {
      await ask("POST", `api/admin/deliveries/${delivery.id}/resend`, {});
      say(t("delivery.again"));
      await queries.invalidateQueries({ queryKey: DELIVERIES });
    } catch (failure) {
      sayRefused(failure);
    }
  };
  return (
    <Section title={t("deliveries")} what={t("deliveries.what")}>
      <Segments
        label={t("deliveries.which")}
        chosen={state}
        options={STATES.map((one) => [one, t(`deliveries.${one}` as AdminWord)] as const)}
        onChoose={setState}
      />
      {isError && data === undefined && (
        <p className="notice warn" role="alert">
          {wordsOf(error)}
        </p>
      )}
      {data !== undefined && (
        <Rows none={t("deliveries.none")}>
          {data.pages
            .flatMap((page) => page.deliveries)
            .map((one) => (
              <One key={one.id} delivery={one} onResend={() => void resend(one)} />
            ))}
        </Rows>
      )}
      {hasNextPage && (
        <button type="button" className="button ghost" onClick={() => void fetchNextPage()}>
          {t("deliveries.more")}
        </button>
      )}
    </Section>
  );
}

function One({ delivery, onResend }: { delivery: DeliveryShown; onResend: () => void }) {
  const t = useAdminWords();
  const times = useTimes();
  const { user_name, kind, channel, host, problem, attempts, created_at, state } = delivery;
  const way = [channel && t(`channel.${channel}` as AdminWord), host].filter(Boolean).join(", ");
  return (
    <Row
      name={user_name}
      badges={[["plain", t(`notice.${kind}` as AdminWord)], state === "dead" && ["bad", t("delivery.dead")]]}
      items={state === "dead" ? [{ label: t("delivery.resend"), icon: "retry", run: onResend }] : []}
    >
      <p>
        {[way, times.moment(created_at), t("delivery.tries", { n: attempts })].filter(Boolean).join(" · ")}
      </p>
      {problem !== null && <p className="quiet">{problem}</p>}
    </Row>
  );
}

function pathOf(state: string, before: number | null): string {
  return `api/admin/deliveries?state=${state}&limit=${PAGE}${before === null ? "" : `&before=${before}`}`;
}
