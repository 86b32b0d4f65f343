import { createPortal } from "react-dom";
import { backToComposer } from "./focus.ts";
import { sheets, type Toast, toasts } from "./toasts.ts";
import { useWatched } from "./watched.ts";

export function ToastList() {
  const shown = useWatched(toasts);
  const sheet = useWatched(sheets).at(-1);
  const act = (action: NonNullable<Toast["action"]>) => {
    action.run();
    backToComposer();
  };
  const list = (
    <div className="toasts" role="status">
      {shown.map((toast) => (
        <div key={toast.id} className="toast">
          <span>{toast.words}</span>
          {toast.action && (
            <button type="button" onClick={() => toast.action && act(toast.action)}>
              {toast.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
  return sheet === undefined ? list : createPortal(list, sheet);
}
