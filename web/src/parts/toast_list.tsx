import { toasts } from "./toasts.ts";
import { useWatched } from "./watched.ts";

export function ToastList() {
  const shown = useWatched(toasts);
  return (
    <div className="toasts" role="status">
      {shown.map((toast) => (
        <div key={toast.id} className="toast">
          <span>{toast.words}</span>
          {toast.action && (
            <button type="button" onClick={toast.action.run}>
              {toast.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
