/** What is one's own here: name, password, tokens, what one has used, and where one is signed in. */

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Reached } from "../notify/reached.tsx";
import { showTitle } from "../parts/title.ts";
import { useMoreWords } from "../words/more.ts";
import { Everywhere } from "./everywhere.tsx";
import { OwnUsage } from "./own_usage.tsx";
import { Password } from "./password.tsx";
import { ACCOUNT, fetchAccount } from "./people.ts";
import { Profile } from "./profile.tsx";
import { Tokens } from "./tokens.tsx";

export default function Account() {
  const t = useMoreWords();
  const { data: account, isError } = useQuery({ queryKey: ACCOUNT, queryFn: fetchAccount, staleTime: 0 });
  const title = t("me");
  useEffect(() => {
    showTitle(title);
  }, [title]);
  return (
    <main className="gallery account-page">
      <div className="gallery-inside">
        <header>
          <h1>{title}</h1>
        </header>
        {isError && account === undefined && <p className="notice warn">{t("offline.try")}</p>}
        {account !== undefined && (
          <>
            <OwnUsage />
            <Profile key={account.email + account.full_name + account.language} account={account} />
            <Password account={account} />
            <Reached />
            <Tokens />
            <Everywhere />
          </>
        )}
      </div>
    </main>
  );
}
