// How the kernel stands: idle, computing, an error, or gone. Nothing waits in silence.

import { KERNEL_SAYS, type Store } from "../../state/store";

export function StatusLine({ store }: { store: Store }) {
  if (store.disconnected.value) return <span class="vaw-status">without a kernel</span>;
  if (store.saved) return <span class="vaw-status vaw-muted">without the model</span>;
  const { state, label, progress, milliseconds, paused } = store.status.value;
  if (state === "computing") {
    return (
      <span class="vaw-status" role="status" data-state="computing">
        <span class="vaw-status-label">{label}</span>
        <progress max={1} {...(progress === null ? {} : { value: progress })} aria-label={label} />
        <button type="button" data-testid="cancel" onClick={() => store.cancel()}>
          cancel
        </button>
      </span>
    );
  }
  if (paused && paused.length > 0) {
    return (
      <span class="vaw-status" role="status" data-state="paused">
        <span class="vaw-status-label">cancelled: {paused.join("; ")}</span>
        <button type="button" data-testid="go-on" onClick={() => store.request("go_on", {})}>
          go on
        </button>
      </span>
    );
  }
  return (
    <span class="vaw-status" role="status" data-state={state}>
      {state === "error" ? "not done" : "ready"}
      {milliseconds !== null && milliseconds !== undefined && (
        <span class="vaw-muted"> {Math.round(milliseconds)} ms</span>
      )}
    </span>
  );
}

/** That nothing more can be computed, and what to do; stronger after a choice that needed it. */
export function KernelNotice({ store }: { store: Store }) {
  const state = store.kernel.value;
  if (state === "alive") return null;
  return (
    <div class="vaw-error" role="alert" data-testid="kernel-notice">
      <b>{KERNEL_SAYS[state]}</b> {store.refused.value > 0 && "What you chose needs the kernel. "}
      What is here still works.
    </div>
  );
}

export function ErrorBox({ store }: { store: Store }) {
  const error = store.status.value.error;
  if (!error) return null;
  return (
    <div class={store.saved ? "vaw-error vaw-stays" : "vaw-error"} role="alert">
      <b>{error.message}</b> {error.hint}
      {error.details && (
        <details>
          <summary>details</summary>
          <pre>{error.details}</pre>
        </details>
      )}
    </div>
  );
}
