import { useModels, useModelsHealth } from "../api/queries.ts";
import { useWords } from "../words/index.ts";

/** The default is marked, and what does not answer just now. */
export function ModelOptions() {
  const t = useWords();
  const models = useModels().data ?? [];
  const health = useModelsHealth();
  return models.map((model) => {
    const name = model.is_default ? t("model.is_default", { name: model.display_name }) : model.display_name;
    return (
      <option key={model.id} value={model.name}>
        {health(model.name) === false ? t("model.silent", { name }) : name}
      </option>
    );
  });
}
