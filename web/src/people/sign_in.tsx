import { type FormEvent, useEffect, useRef, useState } from "react";
import { wordsOf } from "../api/refused.ts";
import { Mark } from "../parts/mark.tsx";
import { useMoreWords } from "../words/more.ts";
import { signIn } from "./people.ts";

export default function SignIn() {
  const t = useMoreWords();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!matchMedia("(pointer: coarse)").matches) first.current?.focus();
  }, []);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const empty = event.currentTarget.querySelector<HTMLInputElement>("input:invalid");
    if (empty !== null) {
      empty.focus();
      return setProblem(t("sign_in.both"));
    }
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      await signIn(String(form.get("username")), String(form.get("password")));
    } catch (error) {
      setProblem(wordsOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <Mark />
      <h1>{t("sign_in.title")}</h1>
      <form noValidate onSubmit={submit}>
        <label className="field">
          <span>{t("sign_in.name")}</span>
          <input
            ref={first}
            name="username"
            autoComplete="username"
            required
            maxLength={255}
            autoCapitalize="none"
            spellCheck={false}
          />
        </label>
        <label className="field">
          <span>{t("sign_in.password")}</span>
          <input name="password" type="password" autoComplete="current-password" required maxLength={1024} />
        </label>
        <p className="problem" role="alert">
          {problem}
        </p>
        <button type="submit" className="button primary" disabled={busy}>
          {t("sign_in.go")}
        </button>
      </form>
      <p className="quiet">{t("sign_in.link")}</p>
      <pre className="command">palaver user link NAME</pre>
    </main>
  );
}
