// Asks for the scores of maps, which take a while and are only computed when wanted; or stops it.

import { useSignal } from "@preact/signals";
import type { Store } from "../state/store";

interface Props {
  store: Store;
  method: "score_map" | "score_compared";
  label: string;
  /** What the button says while it is being computed. */
  meanwhile: string;
  busy: boolean;
  hint: string;
  testid: string;
}

export function ScoreButton({ store, method, label, meanwhile, busy, hint, testid }: Props) {
  const problem = useSignal("");
  const ask = async () => {
    if (!busy) problem.value = await store.request(method, {});
  };
  return (
    <div class="vaw-row">
      <button type="button" data-testid={testid} aria-disabled={busy} data-tip={hint} onClick={ask}>
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
