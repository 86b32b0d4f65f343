import { keep, kept } from "../parts/kept.ts";
import { Watched } from "../parts/watched.ts";

export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

export const theme = new Watched<Theme>(kept<Theme>("theme", "system"));

export function chooseTheme(chosen: Theme): void {
  keep("theme", chosen);
  theme.set(chosen);
  showTheme();
}

export function showTheme(): void {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}
