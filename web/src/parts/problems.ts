/** What is wrong with what was written in a form, field by field. */

import { type RefObject, useEffect, useRef, useState } from "react";
import { Refused } from "../api/http.ts";
import { sayRefused } from "../api/refused.ts";
import { type MoreWord, useMoreWords } from "../words/more.ts";

/** By the field's name. */
export type Problems = Readonly<Record<string, string>>;

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
type Say = (word: MoreWord, values?: Readonly<Record<string, string | number>>) => string;

interface ProblemsHere {
  form: RefObject<HTMLFormElement | null>;
  problems: Problems;
  setProblems: (problems: Problems) => void;
  /** Whether the form can be sent; else its fields say why not, and the first of them has the focus. */
  check: () => boolean;
  /** Says beside the fields what the server has to say of them, and all else as it is said everywhere. */
  take: (error: unknown) => void;
}

/** For a form with `noValidate`: a browser's own words come in its own language, and go away again. */
export function useProblems(): ProblemsHere {
  const t = useMoreWords();
  const form = useRef<HTMLFormElement>(null);
  const [problems, setProblems] = useState<Problems>({});
  useEffect(() => {
    if (Object.keys(problems).length > 0) {
      form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
    }
  }, [problems]);
  return {
    form,
    problems,
    setProblems,
    check: () => {
      const found = form.current === null ? {} : problemsIn(form.current, t);
      setProblems(found);
      return Object.keys(found).length === 0;
    },
    take: (error) => {
      if (error instanceof Refused && Object.keys(error.fields).length > 0) setProblems(error.fields);
      else sayRefused(error);
    },
  };
}

export function problemsIn(form: HTMLFormElement, t: Say): Problems {
  const fields = [...form.elements].filter(isField);
  return Object.fromEntries(
    fields
      .filter((field) => field.name !== "" && field.willValidate && !field.validity.valid)
      .map((field) => [field.name, wordsOf(field, t)]),
  );
}

function isField(element: Element): element is Field {
  return element.matches("input, textarea, select");
}

function wordsOf(field: Field, t: Say): string {
  const { validity } = field;
  const { min, max, minLength, type } = field as HTMLInputElement;
  if (validity.badInput) return t(type === "date" ? "wrong.date" : "wrong.number");
  if (validity.rangeUnderflow) return t("wrong.least", { least: min });
  if (validity.rangeOverflow) return t("wrong.most", { most: max });
  if (validity.stepMismatch) return t("wrong.whole");
  if (validity.typeMismatch) return t("wrong.email");
  if (validity.tooShort) return t("password.length", { least: minLength });
  return t("wrong.missing");
}
