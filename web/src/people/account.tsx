/** What is one's own here: name, password, tokens, what one has used, and where one is signed in. */

import { useEffect } from "react";
import { useMoreWords } from "../words/more.ts";
import { Everywhere } from "./everywhere.tsx";
import { OwnUsage } from "./own_usage.tsx";
import { useWho } from "./people.ts";

export default function Account() {
  const t = useMoreWords();
  const who = useWho().data;
  useEffect(() => {
    document.title = `${t("me")} · Palaver`;
  }, [t]);
  if (who === null || who === undefined || who.isGuest) return <main />;
  return (
    <main className="gallery account-page">
      <div className="gallery-inside">
        <header>
          <h1>{t("me")}</h1>
        </header>
        <OwnUsage />
        <Everywhere />
      </div>
    </main>
  );
}
