import { Dialog } from "../parts/dialog.tsx";
import { type MoreWord, useMoreWords } from "../words/more.ts";
import { showHelp } from "./help.ts";

const MOD = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";

const KEYS: readonly [readonly string[], MoreWord][] = [
  [["Enter"], "key.send"],
  [["Shift", "Enter"], "key.line"],
  [["↑"], "key.edit"],
  [["Esc"], "key.stop"],
  [["/"], "key.compose"],
  [[MOD, "Shift", "O"], "key.new"],
  [[MOD, "K"], "key.search"],
  [[MOD, "B"], "key.sidebar"],
  [[MOD, "/"], "key.help"],
  [["Tab"], "key.move"],
];

export default function HelpSheet() {
  const t = useMoreWords();
  return (
    <Dialog title={t("help")} onClose={() => showHelp.set(false)}>
      <dl className="keys">
        {KEYS.map(([keys, word]) => (
          <div key={word}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(word)}</dd>
          </div>
        ))}
      </dl>
      <p className="quiet">{t("help.more")}</p>
    </Dialog>
  );
}
