import { Icon } from "../parts/icon.tsx";
import { useWords } from "../words/index.ts";

export function SearchField({ value, onChange }: { value: string; onChange: (words: string) => void }) {
  const t = useWords();
  return (
    <div className="search">
      <Icon name="search" />
      <input
        id="search"
        type="search"
        value={value}
        aria-label={t("search")}
        placeholder={t("search")}
        maxLength={200}
        autoComplete="off"
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          onChange("");
        }}
      />
      {value !== "" && (
        <button
          type="button"
          className="icon-button"
          aria-label={t("search.end")}
          onClick={() => {
            onChange("");
            document.getElementById("search")?.focus();
          }}
        >
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
