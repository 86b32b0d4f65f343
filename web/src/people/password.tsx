import { useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { ask } from "../api/http.ts";
import type { AccountShown } from "../api/schema.ts";
import { useProblems } from "../parts/problems.ts";
import { Problem } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { useMoreWords } from "../words/more.ts";
import { ACCOUNT } from "./people.ts";

const SHORTEST = 8;

/** Whoever came by a link has none yet, and sets the first one. */
export function Password({ account }: { account: AccountShown }) {
  const t = useMoreWords();
  const queries = useQueryClient();
  const { form, problems, check, take } = useProblems();
  const save = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const written = event.currentTarget;
    const { old_password = "", new_password = "" } = Object.fromEntries(new FormData(written)) as Record<
      string,
      string
    >;
    if (!check()) return;
    try {
      await ask("POST", "api/account/password", {
        ...(account.has_password ? { old_password } : {}),
        new_password,
      });
      written.reset();
      say(t("password.changed"));
      await queries.invalidateQueries({ queryKey: ACCOUNT });
      await queries.invalidateQueries({ queryKey: ["tokens"] });
    } catch (error) {
      take(error);
    }
  };
  return (
    <section className="panel" aria-labelledby="password">
      <h2 id="password">{t("sign_in.password")}</h2>
      <p className="quiet">{t(account.has_password ? "password.what" : "password.first")}</p>
      <form ref={form} className="fields" noValidate onSubmit={save}>
        {/* For the browser's own keeper of passwords. */}
        <input type="text" name="username" autoComplete="username" value={account.username} readOnly hidden />
        <div className="pair">
          {account.has_password && (
            <label className="field">
              <span>{t("password.old")}</span>
              <input
                name="old_password"
                type="password"
                autoComplete="current-password"
                required
                aria-invalid={problems.old_password !== undefined}
              />
              <Problem words={problems.old_password} />
            </label>
          )}
          <label className="field">
            <span>{t("password.new")}</span>
            <input
              name="new_password"
              type="password"
              autoComplete="new-password"
              required
              aria-invalid={problems.new_password !== undefined}
              minLength={SHORTEST}
              maxLength={128}
            />
            <small>{t("password.length", { least: SHORTEST })}</small>
            <Problem words={problems.new_password} />
          </label>
        </div>
        <div className="actions">
          <button type="submit" className="button">
            {t(account.has_password ? "password.change" : "password.set")}
          </button>
        </div>
      </form>
    </section>
  );
}
