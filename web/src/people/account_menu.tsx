import { lazy, Suspense, useState } from "react";
import { useLocation } from "wouter";
import { showHelp } from "../help/help.ts";
import { chooseTheme, THEMES, theme } from "../look/theme.ts";
import { Icon } from "../parts/icon.tsx";
import { Menu } from "../parts/menu.tsx";
import { say } from "../parts/toasts.ts";
import { useWatched } from "../parts/watched.ts";
import { useWords } from "../words/index.ts";
import { signOut, useIsAdmin, useWho } from "./people.ts";

const Preferences = lazy(() => import("./preferences.tsx"));

export function AccountMenu({ onChoose }: { onChoose: () => void }) {
  const t = useWords();
  const who = useWho().data;
  const isAdmin = useIsAdmin();
  const [, go] = useLocation();
  const [open, setOpen] = useState(false);
  const chosen = useWatched(theme);
  const name = who?.name || t("guest");
  const leave = (everywhere: boolean) => signOut(everywhere).catch(() => say(t("offline.try")));
  const account = () => {
    go("/account");
    onChoose();
  };
  const administer = () => {
    go("/administration");
    onChoose();
  };
  return (
    <>
      <Menu
        label={t("account")}
        className="account"
        spoken
        items={[
          ...(who?.isGuest ? [] : [{ label: t("me"), icon: "person", run: account } as const]),
          { label: t("preferences"), icon: "settings", run: () => setOpen(true) },
          ...(isAdmin ? [{ label: t("administration"), icon: "shield", run: administer } as const] : []),
          { label: t("help"), icon: "help", run: () => showHelp.set(true) },
          "line",
          ...THEMES.map((one) => ({
            label: t(`theme.${one}`),
            chosen: one === chosen,
            run: () => chooseTheme(one),
          })),
          ...(who?.isGuest
            ? []
            : ([
                "line",
                { label: t("sign_out"), icon: "out", run: () => leave(false) },
                { label: t("sign_out.everywhere"), icon: "globe", run: () => leave(true) },
              ] as const)),
        ]}
      >
        <span className="avatar" aria-hidden="true">
          {name.charAt(0).toLocaleUpperCase()}
        </span>
        <span className="account-name">
          {name}
          <span className="visually-hidden">: {t("account")}</span>
        </span>
        <Icon name="more" />
      </Menu>
      {open && (
        <Suspense>
          <Preferences onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
