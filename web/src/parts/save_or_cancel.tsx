/** What a sheet with a form ends with. */

import { useMoreWords } from "../words/more.ts";

interface SaveOrCancelProps {
  onCancel: () => void;
  disabled?: boolean;
}

export function SaveOrCancel({ onCancel, disabled = false }: SaveOrCancelProps) {
  const t = useMoreWords();
  return (
    <div className="actions">
      <button type="button" className="button ghost" onClick={onCancel}>
        {t("cancel")}
      </button>
      <button type="submit" className="button primary" disabled={disabled}>
        {t("save")}
      </button>
    </div>
  );
}
