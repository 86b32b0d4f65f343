/** Who else may use something: a preset, a collection. */

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { ask, Refused } from "../api/http.ts";
import { useShares } from "../api/queries.ts";
import { sayRefused } from "../api/refused.ts";
import { useMoreWords } from "../words/more.ts";
import { Dialog } from "./dialog.tsx";
import { NamesField, withName } from "./names_field.tsx";
import { SaveOrCancel } from "./save_or_cancel.tsx";
import { Switch } from "./speaking.tsx";
import { Trouble } from "./trouble.tsx";

interface SharingSheetProps {
  name: string;
  /** Where it is in the API. */
  path: string;
  isPublic: boolean;
  /** What it is to open it to everybody, and what that means. */
  open: readonly [string, string];
  /** What those may do with whom it is shared. */
  what: string;
  /** What is to be looked at again when it has changed. */
  changes: readonly string[];
  onClose: () => void;
}

export function SharingSheet(props: SharingSheetProps) {
  const { name, path, open, what, changes, onClose } = props;
  const t = useMoreWords();
  const queries = useQueryClient();
  const kept = useShares(path);
  const [names, setNames] = useState<readonly string[] | null>(null);
  const [isPublic, setPublic] = useState(props.isPublic);
  const [writing, setWriting] = useState("");
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (kept.data !== undefined) setNames((before) => before ?? kept.data.usernames);
  }, [kept.data]);
  if (names === null) {
    return (
      <Dialog title={t("sharing.of", { name })} onClose={onClose}>
        <Trouble query={kept} />
      </Dialog>
    );
  }

  const save = async (event: FormEvent) => {
    event.preventDefault();
    // A name that is still in the field is meant, too.
    const usernames = withName(names, writing);
    try {
      await ask("PUT", `${path}shares/`, { usernames });
      if (isPublic !== props.isPublic) await ask("PATCH", path, { is_public: isPublic });
      await queries.invalidateQueries({ queryKey: changes });
      onClose();
    } catch (error) {
      if (error instanceof Refused && error.fields.usernames !== undefined) {
        setProblem(error.fields.usernames);
        field.current?.focus();
      } else sayRefused(error);
    }
  };
  return (
    <Dialog title={t("sharing.of", { name })} onClose={onClose}>
      <form className="fields" onSubmit={save}>
        <Switch label={open[0]} what={open[1]} checked={isPublic} onChange={setPublic} />
        <NamesField
          ref={field}
          label={t("sharing.with")}
          names={names}
          writing={writing}
          problem={problem}
          removeLabel={(shared) => t("sharing.remove", { name: shared })}
          onChange={(those, written) => {
            setNames(those);
            setWriting(written);
            setProblem(undefined);
          }}
        >
          <small>{names.length === 0 ? t("sharing.nobody") : what}</small>
        </NamesField>
        <SaveOrCancel onCancel={onClose} />
      </form>
    </Dialog>
  );
}
