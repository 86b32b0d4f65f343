/** Something that is shown this once: a link that signs in, a token. */

import { CopyButton } from "../parts/copy.tsx";
import { useAdminWords } from "./words.ts";

export function Secret({ label, text, what }: { label: string; text: string; what: string }) {
  const t = useAdminWords();
  return (
    <div className="secret">
      <p>
        <strong>{label}</strong>
      </p>
      <div className="secret-text">
        <code>{text}</code>
        <CopyButton text={text} label={t("copy.name", { name: label })} />
      </div>
      <p className="quiet" role="status">
        {what}
      </p>
    </div>
  );
}
