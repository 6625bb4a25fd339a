// What pruning changed: which of the other heads matter more, or less, once some are missing.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Decision, ModelInfo } from "../../protocol/schema";
import { type Changes, changesOf, changeTable } from "../../state/changes";
import { headKey, isHead } from "../../state/heads";
import type { Store } from "../../state/store";
import { counted, headName, number, output } from "../../state/words";
import { ColorBar } from "../../ui/colorbar";
import { Panel, Select } from "../../ui/controls";
import { BackupHeads, expectedFrom, interactionsOf } from "./backup_heads";
import { ChangeGrid } from "./change_grid";

const SEES =
  "Every head, colored by how much more, or less, the decision needs it now that others are " +
  "pruned.";

const NOTHING =
  "Prune a head (× on its picture in “Heads”, or p) to see which of the others matter " +
  "more without it, and which less.";
const WHY =
  "Importance is what removing one more head costs. A head that matters more once another is missing " +
  "may do its work (a backup head; McGrath et al. 2023). How heads depend on each other is what " +
  "Li et al. 2023 left open.";

/** Below this share of what it was, there is hardly anything left that a head could take away. */
const HARDLY = 0.1;

/** What there is to see, in a sentence. */
export function changesSay(info: ModelInfo, decision: Decision, changes: Changes): string {
  const without =
    decision.pruned.length === 1
      ? headName(...(decision.pruned[0] ?? [0, 0]))
      : counted(decision.pruned.length, "head");
  const [first] = changes.takeOver;
  if (changes.measured < changes.total) {
    return `Measuring the others: ${changes.measured} of ${changes.total} heads.`;
  }
  const { target_after: after, target_before: was, target_name: name } = decision;
  const left = info.by_class && info.output !== "value" ? (after ?? was) : Number.POSITIVE_INFINITY;
  if (!first && left < HARDLY * was) {
    const fell = `${name} fell from ${output(info, was)} to ${output(info, left)}`;
    return `Without ${without} ${fell}: hardly anything is left that a further head could take away.`;
  }
  if (!first) return `Without ${without} no other head matters much more: none takes over.`;
  const grew = `${headName(...first.head)} from ${number(first.before)} to ${number(first.after)}`;
  const others = changes.takeOver.length - 1;
  const more = others > 0 ? `, and ${counted(others, "other", "one")} grew much, too` : "";
  const take = others > 0 ? "others take over, most of all" : "another takes over:";
  return `Without ${without} ${take} ${grew}${more}.`;
}

function TakeOver({ store, changes }: { store: Store; changes: Changes }) {
  const interactions = interactionsOf(store.traits._interactions.value);
  const expected = expectedFrom(interactions, store.decision.value?.pruned ?? []);
  return (
    <div class="vaw-chips vaw-layer-values" data-testid="take-over">
      <span class="vaw-muted">takes over:</span>
      {changes.takeOver.map(({ head, before, after }) => (
        <button
          type="button"
          class="vaw-chip"
          key={headKey(...head)}
          onClick={() => store.set({ selected_layer: head[0], selected_head: head[1] })}
        >
          {headName(...head)}, {number(before)} → <b>{number(after)}</b>
          {expected.some((backup) => isHead(backup, head)) && ", a backup"}
        </button>
      ))}
    </div>
  );
}

function Shown(props: { store: Store; info: ModelInfo; decision: Decision }) {
  const { store, info, decision } = props;
  const problem = useSignal("");
  const [before, after] = [store.importanceBefore.value, store.importanceHere.value];
  const version = store.traits._version.value;
  const ask = async () => {
    problem.value = await store.request("importance_before", {});
  };
  const hasBefore = before !== null;
  useEffect(() => {
    if (!hasBefore) ask();
  }, [store, version, hasBefore]);
  if (problem.value) return <p role="alert">{problem.value}</p>;
  if (!before || !after) {
    const busy = store.status.value.state === "computing";
    return busy ? (
      <p class="vaw-muted">Measuring how much the heads mattered before …</p>
    ) : (
      <button type="button" class="vaw-again" data-testid="measure-before" onClick={ask}>
        measure how much the heads mattered before
      </button>
    );
  }
  const changes = changesOf(info, before, after, decision.pruned);
  return (
    <>
      <div class="vaw-row vaw-by-layer-says">
        <p data-testid="changes-say" aria-live="polite">
          {changesSay(info, decision, changes)}
        </p>
      </div>
      <ChangeGrid store={store} info={info} changes={changes} />
      <ColorBar
        low={-changes.most}
        high={changes.most}
        colormap="theme"
        label="matters less, or more, than before"
      />
      {changes.takeOver.length > 0 && <TakeOver store={store} changes={changes} />}
    </>
  );
}

export function WhatChanged({ store }: { store: Store }) {
  const info = store.info.value;
  const decision = store.decision.value;
  if (!info) return null;
  const pruned = decision && decision.pruned.length > 0;
  const [before, after] = [store.importanceBefore.value, store.importanceHere.value];
  const measured = decision && before && after;
  const waits = store.traits.pruned_heads.value.length > 0;
  const stale = decision && `${decision.pruned}` !== `${store.traits.pruned_heads.value}`;
  return (
    <Panel
      title="What changed"
      sees={SEES}
      name="changes"
      table={
        measured
          ? () => changeTable(info, changesOf(info, before, after, decision.pruned), before.metric)
          : undefined
      }
      controls={
        <Select
          label="metric"
          testid="changes-metric"
          options={info.metrics}
          value={store.traits.metric.value}
          onChange={(metric) => store.set({ metric })}
        />
      }
    >
      {!pruned && !waits && <p data-testid="changes-nothing">{NOTHING}</p>}
      {!pruned && waits && <p class="vaw-muted">Running the model without these heads …</p>}
      {pruned && (
        <div class={stale ? "vaw-stack vaw-stale" : "vaw-stack"} aria-busy={Boolean(stale)}>
          <Shown store={store} info={info} decision={decision} />
        </div>
      )}
      <BackupHeads store={store} info={info} />
      <p class="vaw-muted">{WHY}</p>
    </Panel>
  );
}
