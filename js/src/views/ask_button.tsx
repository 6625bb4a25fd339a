// A button for what takes a while and is only computed when it is wanted; it can be cancelled.

import { useSignal } from "@preact/signals";
import type { Asked, Store } from "../state/store";

interface Props {
  store: Store;
  /** What is asked of the kernel. */
  method: Asked;
  label: string;
  /** What the button says while it is being computed. */
  meanwhile: string;
  busy: boolean;
  hint: string;
  testid: string;
}

export function AskButton({ store, method, label, meanwhile, busy, hint, testid }: Props) {
  const problem = useSignal("");
  const ask = async () => {
    if (!busy) problem.value = await store.request(method, {});
  };
  return (
    <div class="vaw-row">
      <button type="button" data-testid={testid} aria-disabled={busy} title={hint} onClick={ask}>
        {busy ? `${meanwhile} …` : label}
      </button>
      {busy && (
        <button
          type="button"
          data-testid="score-cancel"
          onClick={() => store.request("cancel_scores", {})}
        >
          cancel
        </button>
      )}
      {problem.value && <p role="alert">{problem.value}</p>}
    </div>
  );
}
