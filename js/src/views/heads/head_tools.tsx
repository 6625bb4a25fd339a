// What is done with heads: prune those brushed, undo, redo, put all back. It stands below them in a
// row that is always there, so that no head moves away under the pointer.

import type { Store } from "../../state/store";
import { counted, headName, percent } from "../../state/words";
import { Later } from "../../ui/later";
import { later } from "./code_here";

interface Props {
  store: Store;
  /** Whether each head has a mark that prunes it. */
  marks: boolean;
}

export function PruneTools({ store, marks }: Props) {
  const count = store.traits.pruned_heads.value.length;
  const brushed = store.brush.heads.value.length;
  const { selected_layer, selected_head } = store.traits;
  const [layer, head] = [selected_layer.value, selected_head.value];
  const pruned = store.pruned.value.has(layer, head);
  return (
    <div class="vaw-tools">
      {brushed === 0 && head >= 0 && (
        <button
          type="button"
          data-testid="prune-selected"
          data-tip={`${pruned ? "restore" : "prune"} ${headName(layer, head)} (p)`}
          onClick={() => store.togglePruned(layer, head)}
        >
          {pruned ? "restore" : "prune"}
        </button>
      )}
      {brushed > 0 && (
        <button
          type="button"
          class="vaw-primary"
          data-testid="prune-brushed"
          data-tip="prune the chosen heads, or put them back (p)"
          onClick={() => store.togglePrunedBrush()}
        >
          prune {counted(brushed, "head")}
        </button>
      )}
      {count > 0 && (
        <button
          type="button"
          data-testid="reset"
          data-tip="put every head back"
          onClick={() => store.resetPruned()}
        >
          reset
        </button>
      )}
      {count > 0 && <Later store={store} code={later} name="save_model" around={() => null} />}
      {brushed === 0 && head < 0 && count === 0 && (
        <span class="vaw-muted">
          {marks ? "× prunes a head" : "choose a head to prune it"}; drag over several to choose
          them
        </span>
      )}
    </div>
  );
}

/** Accuracy on the labeled images, before and after pruning, which hurt, helped or changed nothing. */
export function LiveAccuracy({ store }: { store: Store }) {
  const accuracy = store.traits.accuracy.value;
  if (!("count" in accuracy)) return null;
  const { before, after, count } = accuracy;
  const says = percent(before);
  return (
    <span class="vaw-accuracy" data-testid="accuracy" aria-live="polite">
      accuracy {says}
      {after !== null && (
        <b class={percent(after) === says ? "" : after < before ? "vaw-worse" : "vaw-better"}>
          {` → ${percent(after)}`}
        </b>
      )}{" "}
      (n = {count})
    </span>
  );
}
