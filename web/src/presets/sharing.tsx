/** Who else may use a preset. */

import type { PresetListed } from "../api/schema.ts";
import { SharingSheet } from "../parts/sharing.tsx";
import { useMoreWords } from "../words/more.ts";

export default function Sharing({ preset, onClose }: { preset: PresetListed; onClose: () => void }) {
  const t = useMoreWords();
  return (
    <SharingSheet
      name={preset.name}
      path={`ai-chat/api/presets/${preset.id}/`}
      isPublic={preset.is_public}
      open={[t("preset.share"), t("preset.share.what")]}
      what={t("sharing.what")}
      changes={["presets"]}
      onClose={onClose}
    />
  );
}
