/** What one is called, and in which language one is spoken to. */

import { type FormEvent, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import type { AccountShown } from "../api/schema.ts";
import { useProblems } from "../parts/problems.ts";
import { changed, Problem } from "../parts/speaking.tsx";
import { say } from "../parts/toasts.ts";
import { LANGUAGES, nameOf } from "../words/index.ts";
import { moreWord, useMoreWords } from "../words/more.ts";
import { takeAccount } from "./people.ts";

export function Profile({ account }: { account: AccountShown }) {
  const t = useMoreWords();
  const { full_name, email, language } = account;
  const kept = { full_name, email, language };
  const [fields, setFields] = useState(kept);
  const { form, problems, setProblems, check, take } = useProblems();
  const change = changed(kept, { ...fields, full_name: fields.full_name.trim(), email: fields.email.trim() });
  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (!check()) return;
    try {
      await takeAccount(await ask<AccountShown>("PATCH", "api/account", change));
      say(await moreWord("saved"));
    } catch (error) {
      if (error instanceof Refused && error.status === 409) setProblems({ email: t("profile.email.taken") });
      else take(error);
    }
  };
  return (
    <section className="panel" aria-labelledby="profile">
      <h2 id="profile">{t("profile")}</h2>
      <form ref={form} className="fields" noValidate onSubmit={save}>
        <div className="pair">
          <label className="field">
            <span>{t("profile.name")}</span>
            <input
              name="full_name"
              aria-invalid={problems.full_name !== undefined}
              value={fields.full_name}
              maxLength={255}
              autoComplete="name"
              placeholder={account.username}
              onChange={(event) => setFields({ ...fields, full_name: event.target.value })}
            />
            <Problem words={problems.full_name} />
          </label>
          <label className="field">
            <span>{t("profile.email")}</span>
            <input
              name="email"
              type="email"
              aria-invalid={problems.email !== undefined}
              value={fields.email}
              maxLength={250}
              autoComplete="email"
              onChange={(event) => setFields({ ...fields, email: event.target.value })}
            />
            <Problem words={problems.email} />
          </label>
          <label className="field">
            <span>{t("language")}</span>
            <select
              value={fields.language ?? ""}
              onChange={(event) => setFields({ ...fields, language: event.target.value || null })}
            >
              <option value="">{t("language.browser")}</option>
              {LANGUAGES.map((one) => (
                <option key={one} value={one}>
                  {nameOf(one)}
                </option>
              ))}
            </select>
            <small>{t("profile.language.what")}</small>
          </label>
          <div className="field">
            <span>{t("sharing.name")}</span>
            <span className="fact">{account.username}</span>
            <small>{t("profile.username.what")}</small>
          </div>
        </div>
        <div className="actions">
          <button type="submit" className="button primary" disabled={Object.keys(change).length === 0}>
            {t("save")}
          </button>
        </div>
      </form>
    </section>
  );
}
