import { lazy, Suspense, useEffect, useState } from "react";
import { Route, Switch, useLocation } from "wouter";
import { NewConversation } from "./conversation/new.tsx";
import { ConversationView } from "./conversation/view.tsx";
import { showHelp } from "./help/help.ts";
import { comeBack, listLine, openList } from "./list/list.ts";
import { Sidebar } from "./list/sidebar.tsx";
import { toComposer } from "./parts/focus.ts";
import { Icon } from "./parts/icon.tsx";
import { kept } from "./parts/kept.ts";
import { ToastList } from "./parts/toast_list.tsx";
import { useWatched } from "./parts/watched.ts";
import { nobody, useWho } from "./people/people.ts";
import { chooseSidebar, sidebar } from "./people/tastes.ts";
import { useWords } from "./words/index.ts";

const Account = lazy(() => import("./people/account.tsx"));
const Administration = lazy(() => import("./admin/administration.tsx"));
const HelpSheet = lazy(() => import("./help/help_sheet.tsx"));
const SignIn = lazy(() => import("./people/sign_in.tsx"));
const PeopleView = lazy(() => import("./connections/view.tsx"));
const Knowledge = lazy(() => import("./knowledge/knowledge.tsx"));
const Presets = lazy(() => import("./presets/gallery.tsx"));

export function App() {
  const t = useWords();
  const who = useWho();
  if (who.isPending) return <div className="starting" aria-busy="true" />;
  if (who.isError) {
    return (
      <main className="empty">
        <h1>{t(navigator.onLine ? "away" : "offline.start")}</h1>
        <button type="button" className="button primary" onClick={() => who.refetch()}>
          {t("away.now")}
        </button>
      </main>
    );
  }
  return (
    <>
      {who.data === null ? (
        <Suspense fallback={<div className="starting" aria-busy="true" />}>
          <SignIn />
        </Suspense>
      ) : (
        <Inside />
      )}
      <ToastList />
    </>
  );
}

function Inside() {
  const t = useWords();
  const [place, go] = useLocation();
  const [menu, setMenu] = useState(false);
  const wide = useWatched(sidebar);
  const help = useWatched(showHelp);
  const line = useWatched(listLine);
  const [, kind, current = null] = /^\/(c|people)\b(?:\/([^/]+))?/.exec(place) ?? [];
  const side = kind === undefined ? (place === "/" ? "bot" : null) : kind === "c" ? "bot" : "people";

  // Another page is there to be seen, whatever led to it.
  useEffect(() => setMenu(false), [place]);
  useEffect(openList, []);
  useEffect(() => {
    // Where it is notified of anything; else it need not be fetched.
    if (kept("device", null) !== null)
      void import("./notify/device.ts").then(({ renew }) => renew()).catch(() => undefined);
  }, []);
  useEffect(() => {
    if (line === "signed_out") nobody();
  }, [line]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const mod = event.metaKey || event.ctrlKey;
      const key = event.key.toLowerCase();
      if (mod && event.shiftKey && key === "o") go("/");
      else if (mod && key === "k") toSearch();
      else if (mod && key === "/") showHelp.set(!showHelp.value);
      else if (mod && key === "b") chooseSidebar(!sidebar.value);
      else if (!mod && key === "/" && !isWriting(event.target)) toComposer();
      else if (!mod && key === "?" && !isWriting(event.target)) showHelp.set(true);
      else return;
      event.preventDefault();
    };
    const toSearch = () => {
      const field = document.getElementById("search");
      field?.focus();
      if (field === document.activeElement) return;
      // It is out of sight until it is drawn.
      chooseSidebar(true);
      setMenu(true);
      requestAnimationFrame(() => field?.focus());
    };
    // Else the browser would show the file instead of this page.
    const stay = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    const seen = () => document.visibilityState === "visible" && comeBack();
    addEventListener("keydown", press);
    addEventListener("dragover", stay);
    addEventListener("drop", stay);
    document.addEventListener("visibilitychange", seen);
    return () => {
      removeEventListener("keydown", press);
      removeEventListener("dragover", stay);
      removeEventListener("drop", stay);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [go]);

  return (
    <div className={wide ? "shell" : "shell narrow"}>
      <button type="button" className="skip" onClick={toComposer}>
        {t("skip")}
      </button>
      <aside className={menu ? "sidebar open" : "sidebar"}>
        <Sidebar current={current} side={side} onChoose={() => setMenu(false)} />
      </aside>
      {menu && (
        <button type="button" className="shade" aria-label={t("close")} onClick={() => setMenu(false)} />
      )}
      <button
        type="button"
        className="icon-button menu-button"
        aria-label={t("conversations")}
        aria-expanded={menu}
        onClick={() => (matchMedia("(max-width: 48rem)").matches ? setMenu(!menu) : chooseSidebar(!wide))}
      >
        <Icon name="menu" />
      </button>
      <Suspense fallback={<main />}>
        <Switch>
          <Route path="/c/:id/:message?">
            {({ id, message }) => <ConversationView key={id} id={id} sought={message ?? null} />}
          </Route>
          <Route path="/people/:id?">{({ id }) => <PeopleView key={id} id={id} />}</Route>
          <Route path="/presets">
            <Presets />
          </Route>
          <Route path="/knowledge/:collection?">
            {({ collection }) => <Knowledge collection={collection} />}
          </Route>
          <Route path="/account">
            <Account />
          </Route>
          <Route path="/administration/:section?">
            {({ section }) => <Administration section={section} />}
          </Route>
          <Route>
            <NewConversation />
          </Route>
        </Switch>
      </Suspense>
      {help && (
        <Suspense>
          <HelpSheet />
        </Suspense>
      )}
    </div>
  );
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}
