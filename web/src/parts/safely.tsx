import { Component, type ReactNode } from "react";
import { t } from "../words/index.ts";

/** Where drawing fails, the page says so, rather than going blank. */
export class Safely extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="empty">
        <h1>{t("failed.page")}</h1>
        <button type="button" className="button primary" onClick={() => location.reload()}>
          {t("reload")}
        </button>
      </main>
    );
  }
}
