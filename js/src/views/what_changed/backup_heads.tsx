// Heads that take over when another is gone, without pruning each one to see: measured for all pairs
// on this image, or given from many images.

import { useSignal } from "@preact/signals";
import type { Head, Interactions, ModelInfo } from "../../protocol/schema";
import { headCount, headKey, isHead } from "../../state/heads";
import type { Store } from "../../state/store";
import { counted, headName, many, number } from "../../state/words";

const SHOWN = 8;

export function interactionsOf(value: Interactions | Record<string, never>): Interactions | null {
  return "backups" in value ? (value as Interactions) : null;
}

/** Heads that are known to take over from one that is pruned. */
export function expectedFrom(known: Interactions | null, pruned: readonly Head[]): Head[] {
  const backups = known?.backups ?? [];
  return backups
    .filter(({ gone }) => pruned.some((head) => isHead(head, gone)))
    .map(({ backup }) => backup);
}

function says({ backups, of_image, images, target, asks, done, total }: Interactions): string {
  if (asks) return `Masking one head after the other: ${done} of ${total || "all"} heads.`;
  const of = of_image ? "on this image" : `over ${counted(images, "image")}`;
  const part = done < total ? `, as far as ${done} of ${total} heads show` : "";
  if (backups.length === 0) return `No head takes over from another ${of}${part} (${target}).`;
  return `Heads that take over from another ${of} (${target})${part}, the largest change first:`;
}

function Pairs({ store, known }: { store: Store; known: Interactions }) {
  const tryIt = (gone: Head, [layer, head]: Head) => {
    store.prune([gone]);
    store.set({ selected_layer: layer, selected_head: head });
  };
  return (
    <div class="vaw-chips" data-testid="backups">
      {known.backups.slice(0, SHOWN).map(({ gone, backup, importance, change }) => (
        <button
          type="button"
          class="vaw-chip"
          key={`${headKey(...gone)} ${headKey(...backup)}`}
          data-tip={`prune ${headName(...gone)} alone and see`}
          onClick={() => tryIt(gone, backup)}
        >
          without {headName(...gone)}: {headName(...backup)}, {number(importance)} →{" "}
          <b>{number(importance + change)}</b>
        </button>
      ))}
    </div>
  );
}

export function BackupHeads({ store, info }: { store: Store; info: ModelInfo }) {
  const problem = useSignal("");
  const interactions = interactionsOf(store.traits._interactions.value);
  const heads = headCount(info.num_heads);
  const ask = async () => {
    problem.value = await store.request("interactions", {});
  };
  if (store.saved && !interactions) return null;
  return (
    <div class="vaw-stack vaw-backups">
      {interactions && (
        <p data-testid="backups-say" aria-live={interactions.asks ? "off" : "polite"}>
          {says(interactions)}
        </p>
      )}
      {interactions && interactions.backups.length > 0 && (
        <Pairs store={store} known={interactions} />
      )}
      {!store.saved && (
        <div class="vaw-row">
          <button
            type="button"
            data-testid="find-backups"
            disabled={interactions?.asks || info.metrics.length === 0}
            onClick={ask}
          >
            find backup heads
          </button>
          {interactions?.asks ? (
            <button type="button" data-testid="cancel-backups" onClick={() => store.cancel()}>
              cancel
            </button>
          ) : (
            <span class="vaw-muted">
              Masks each of {heads} heads in turn and measures all others again:{" "}
              {many((heads * (heads - 1)) / 2)} pairs.
            </span>
          )}
          {problem.value && <span role="alert">{problem.value}</span>}
        </div>
      )}
    </div>
  );
}
