import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { App } from "./app.tsx";
import "./look/index.css";
import { showTheme } from "./look/theme.ts";
import { keepPage } from "./offline/keep_page.ts";
import { Safely } from "./parts/safely.tsx";
import { queries } from "./people/people.ts";
import { startLanguage } from "./words/index.ts";

// After an upgrade the server has files of other names: the page that is open comes anew, once.
addEventListener("vite:preloadError", (event) => {
  if (sessionStorage.getItem("palaver.anew") === "1") return;
  sessionStorage.setItem("palaver.anew", "1");
  event.preventDefault();
  location.reload();
});

showTheme();
await startLanguage();

const root = document.getElementById("app");
if (root === null) throw new Error("The page has no place for the app.");
// The place within the app stands behind a #: so the page is the same behind any path prefix.
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Router hook={useHashLocation}>
        <Safely>
          <App />
        </Safely>
      </Router>
    </QueryClientProvider>
  </StrictMode>,
);
keepPage();
