import { useEffect, useState } from "react";
import { sayRefused } from "../api/refused.ts";
import { Switch } from "./speaking.tsx";

interface KeptSwitchProps {
  label: string;
  what: string;
  checked: boolean;
  keep: (checked: boolean) => Promise<unknown>;
}

/** A switch that is kept as it is turned: turned at once, and back where that does not go through. */
export function KeptSwitch({ label, what, checked, keep }: KeptSwitchProps) {
  const [shown, setShown] = useState(checked);
  useEffect(() => setShown(checked), [checked]);
  const turn = (on: boolean) => {
    setShown(on);
    keep(on).catch((error: unknown) => {
      setShown(!on);
      sayRefused(error);
    });
  };
  return <Switch label={label} what={what} checked={shown} onChange={turn} />;
}
