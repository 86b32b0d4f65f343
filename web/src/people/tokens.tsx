/** Keys to the account for scripts and other apps: made, copied once, revoked. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import type { TokenMade, TokenShown } from "../api/schema.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { useProblems } from "../parts/problems.ts";
import { useRemaining } from "../parts/remaining.ts";
import { Problem } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { language } from "../words/index.ts";
import { useMoreWords } from "../words/more.ts";

const TOKENS = ["tokens"];
/** In days; null: until it is revoked. */
const LIVES = [30, 90, 365, null] as const;

export function Tokens() {
  const t = useMoreWords();
  const queries = useQueryClient();
  const { data: tokens, isError } = useQuery({
    queryKey: TOKENS,
    queryFn: () => ask<TokenShown[]>("GET", "api/account/tokens"),
    staleTime: 0,
  });
  const [made, setMade] = useState<TokenMade | null>(null);
  const [doomed, setDoomed] = useState<TokenShown | null>(null);
  const remaining = useRemaining<HTMLDivElement>();
  const { form, problems, setProblems, check, take } = useProblems();

  const make = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const written = event.currentTarget;
    const given = new FormData(written);
    const days = Number(given.get("days")) || null;
    const name = String(given.get("name")).trim();
    if (!check()) return;
    if (name === "") return setProblems({ name: t("wrong.missing") });
    try {
      setMade(await ask<TokenMade>("POST", "api/account/tokens", days === null ? { name } : { name, days }));
      written.reset();
      await queries.invalidateQueries({ queryKey: TOKENS });
    } catch (error) {
      take(error);
    }
  };
  const revoke = async (token: TokenShown) => {
    setDoomed(null);
    if (made?.id === token.id) setMade(null);
    try {
      await ask("DELETE", `api/account/tokens/${token.id}`);
      say(t("token.revoked", { name: token.name || t("token.unnamed") }));
    } catch (error) {
      sayRefused(error);
    }
    await queries.invalidateQueries({ queryKey: TOKENS });
  };
  return (
    <section className="panel" aria-labelledby="tokens">
      <h2 id="tokens">{t("tokens.title")}</h2>
      <p className="quiet">{t("tokens.about")}</p>
      <form ref={form} className="token-form" noValidate onSubmit={make}>
        <label className="field">
          <span>{t("token.name")}</span>
          <input
            name="name"
            required
            aria-invalid={problems.name !== undefined}
            maxLength={100}
            autoComplete="off"
            placeholder={t("token.name.what")}
          />
          <Problem words={problems.name} />
        </label>
        <label className="field">
          <span>{t("token.life")}</span>
          <select name="days" defaultValue="90">
            {LIVES.map((days) => (
              <option key={days} value={days ?? ""}>
                {days === null ? t("token.life.ever") : t("token.life.days", { n: days })}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button">
          <Icon name="new" />
          {t("token.make")}
        </button>
      </form>
      {made !== null && (
        <div className="token-made" role="status">
          <p>{t("token.once", { name: made.name })}</p>
          <div>
            <code>{made.token}</code>
            <CopyButton text={made.token} label={t("token.copy")} />
          </div>
        </div>
      )}
      {isError && <p className="quiet">{t("offline.try")}</p>}
      {tokens?.length === 0 && <p className="quiet">{t("tokens.none")}</p>}
      <div {...remaining}>
        {tokens !== undefined && tokens.length > 0 && (
          <ul className="token-list">
            {tokens.map((token) => (
              <li key={token.id}>
                <div>
                  <strong>{token.name || t("token.unnamed")}</strong>
                  <small>{told(token)}</small>
                </div>
                <button
                  type="button"
                  className="button small"
                  aria-label={t("token.revoke.of", { name: token.name || t("token.unnamed") })}
                  onClick={() => setDoomed(token)}
                >
                  {t("token.revoke")}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
      {doomed !== null && (
        <Dialog
          title={t("token.revoke.sure", { name: doomed.name || t("token.unnamed") })}
          onClose={() => setDoomed(null)}
        >
          <p>{t("token.revoke.what")}</p>
          <div className="actions">
            <button type="button" className="button ghost" onClick={() => setDoomed(null)}>
              {t("cancel")}
            </button>
            <button type="button" className="button danger" onClick={() => revoke(doomed)}>
              {t("token.revoke")}
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );

  function told(token: TokenShown): string {
    const day = new Intl.DateTimeFormat(language(), { dateStyle: "medium" });
    const spell = (time: string) => day.format(new Date(time));
    return [
      t("token.made", { day: spell(token.created_at) }),
      token.last_used_at === null ? t("token.unused") : t("token.used", { day: spell(token.last_used_at) }),
      token.expires_at === null ? t("token.life.ever") : t("token.expires", { day: spell(token.expires_at) }),
    ].join(" · ");
  }
}
