/** A form whose fields show what the server has to say of each of them. */

import {
  createContext,
  type FormEvent,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { Refused } from "../api/http.ts";
import { wordsOf } from "../api/refused.ts";
import { Saved } from "../parts/dialog.tsx";
import { type Problems, problemsIn } from "../parts/problems.ts";
import { useMoreWords } from "../words/more.ts";

/** What somebody has filled in. */
export class Filled {
  private readonly data: FormData;

  constructor(form: HTMLFormElement) {
    this.data = new FormData(form);
  }

  text(name: string): string {
    return String(this.data.get(name) ?? "").trim();
  }

  /** null: left empty. */
  number(name: string): number | null {
    const text = this.text(name).replace(",", ".");
    return text === "" ? null : Number(text);
  }

  on(name: string): boolean {
    return this.data.has(name);
  }

  /** One to a line, or between commas. */
  list(name: string): string[] {
    return this.text(name)
      .split(/[\n,]/)
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
  }
}

const FormProblems = createContext<Problems>({});

/** Said by `save` where what is wrong with a field is nothing that the server has told. */
export class FieldProblem extends Error {
  readonly field: string;

  constructor(field: string, words: string) {
    super(words);
    this.field = field;
  }
}

interface FormProps {
  save: (filled: Filled) => Promise<void>;
  onCancel?: () => void;
  /** What the button says. */
  go: string;
  /** The field that is meant where the whole is refused: a name that is taken, or that nobody has. */
  about?: string;
  children: ReactNode;
}

export function Form({ save, onCancel, go, about, children }: FormProps) {
  const t = useMoreWords();
  const [problems, setProblems] = useState<Problems>({});
  const [busy, setBusy] = useState(false);
  const saved = useContext(Saved);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const wrong = form.current?.querySelector<HTMLElement>("[aria-invalid=true]");
    if (Object.keys(problems).length > 0) wrong?.focus();
  }, [problems]);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const wrong = problemsIn(event.currentTarget, t);
    if (Object.keys(wrong).length > 0) return setProblems(wrong);
    setBusy(true);
    try {
      await save(new Filled(event.currentTarget));
      saved();
      setProblems({});
    } catch (error) {
      setProblems(toProblems(error, about));
    } finally {
      setBusy(false);
    }
  };
  const unshown = Object.entries(problems)
    .filter(([name]) => form.current?.elements.namedItem(name) == null)
    .map(([, words]) => words);
  return (
    <form ref={form} className="fields" noValidate onSubmit={submit}>
      <FormProblems value={problems}>{children}</FormProblems>
      {unshown.length > 0 && (
        <p className="problem" role="alert">
          {unshown.join(" ")}
        </p>
      )}
      <div className="actions">
        {onCancel && (
          <button type="button" className="button ghost" onClick={onCancel}>
            {t("cancel")}
          </button>
        )}
        <button type="submit" className="button primary" disabled={busy}>
          {go}
        </button>
      </div>
    </form>
  );
}

function toProblems(error: unknown, about = ""): Problems {
  if (error instanceof FieldProblem) return { [error.field]: error.message };
  if (error instanceof Refused && Object.keys(error.fields).length > 0) return error.fields;
  const isMeant = error instanceof Refused && [404, 409].includes(error.status);
  return { [isMeant ? about : ""]: wordsOf(error) };
}

interface FieldProps {
  name: string;
  label: string;
  hint?: string | undefined;
  value?: string | number | null | undefined;
  type?: "text" | "email" | "url" | "number" | "password" | "date";
  required?: boolean;
  most?: number | undefined;
  min?: number;
  step?: number | "any";
  placeholder?: string | undefined;
  /** How many lines; without it, one that cannot be more. */
  rows?: number;
  plain?: boolean;
}

export function Field({ name, label, hint, value, most, rows, plain = false, ...input }: FieldProps) {
  const problem = useContext(FormProblems)[name];
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  const shared = {
    id,
    name,
    defaultValue: value ?? "",
    maxLength: most,
    "aria-invalid": problem !== undefined,
    "aria-describedby": described || undefined,
    ...(plain ? { autoCapitalize: "none", spellCheck: false } : {}),
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? (
        <input
          {...shared}
          {...input}
          // A browser would put the password of who is signed in where a key is wanted.
          autoComplete={input.type === "password" ? "new-password" : "off"}
          inputMode={input.type === "number" ? "decimal" : undefined}
        />
      ) : (
        <textarea {...shared} rows={rows} required={input.required} placeholder={input.placeholder} />
      )}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
      {problem && (
        <small id={`${id}-problem`} className="problem" role="alert">
          {problem}
        </small>
      )}
    </div>
  );
}

interface SwitchProps {
  name: string;
  label: string;
  hint?: string;
  on?: boolean;
}

export function Switch({ name, label, hint, on = false }: SwitchProps) {
  const problem = useContext(FormProblems)[name];
  const id = useId();
  return (
    <label className="switch">
      <input
        type="checkbox"
        name={name}
        defaultChecked={on}
        aria-invalid={problem !== undefined}
        aria-describedby={problem && id}
      />
      <span>
        {label}
        {hint && <small>{hint}</small>}
        {problem && (
          <small id={id} className="problem" role="alert">
            {problem}
          </small>
        )}
      </span>
    </label>
  );
}
