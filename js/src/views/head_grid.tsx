// Head importance grid: layers x heads, what each sees, how much it matters, and pruning by click.

import { useCallback } from "preact/hooks";
import type { Store } from "../state/store";
import { directionWords, headName, number, tokenName } from "../state/words";
import { useWidth } from "./canvas";
import { Panel, Segmented } from "./controls";
import { describeHead, HeadCells } from "./head_cells";
import { importanceScale, layoutOf } from "./head_grid_paint";
import { HeadScale } from "./head_scale";
import { HeadsCanvas } from "./heads_canvas";

function Legend({ store }: { store: Store }) {
  const importance = store.importance.value;
  const scale = number(importanceScale(importance));
  const unit = importance?.metric === "taylor" ? "of the gradient estimate" : "of the probability";
  return (
    <div class="vaw-legend" title={`Longest bar: ${scale} ${unit}`}>
      {importance?.metric !== "taylor" && (
        <span>
          <i class="vaw-helps" /> removing helps
        </span>
      )}
      <span>
        <i class="vaw-hurts" /> removing hurts
      </span>
      <span class="vaw-muted">full bar {scale}</span>
    </div>
  );
}

function PruneTools({ store }: { store: Store }) {
  const count = store.traits.pruned_heads.value.length;
  return (
    <span class="vaw-tools">
      <button
        type="button"
        disabled={store.history.undoable.value.length === 0}
        title="undo (z)"
        onClick={() => store.undo()}
      >
        undo
      </button>
      <button
        type="button"
        disabled={store.history.redoable.value.length === 0}
        title="redo (Z)"
        onClick={() => store.redo()}
      >
        redo
      </button>
      <button type="button" disabled={count === 0} onClick={() => store.resetPruned()}>
        reset
      </button>
    </span>
  );
}

function Readout({ store }: { store: Store }) {
  const { selected_layer, selected_head, pruned_heads } = store.traits;
  const [layer, head] = store.hoveredHead.value ?? [selected_layer.value, selected_head.value];
  const gone = pruned_heads.value.some(([l, h]) => l === layer && h === head);
  const what =
    head < 0 ? headName(layer, head) : describeHead(store.importance.value, layer, head, gone);
  return (
    <p class="vaw-says" aria-live="polite" data-testid="readout">
      {what}
    </p>
  );
}

export function HeadGrid({ store }: { store: Store }) {
  const info = store.info.value;
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const select = useCallback((metric: string) => store.set({ metric }), [store]);
  if (!info) return null;
  const layout = layoutOf(info, width);
  return (
    <Panel
      title="Heads"
      name="heads"
      controls={
        <>
          <Segmented
            label="metric"
            testid="metric"
            options={info.metrics}
            value={store.traits.metric.value}
            onChange={select}
          />
          <PruneTools store={store} />
        </>
      }
    >
      <Readout store={store} />
      <div ref={ref} class="vaw-heads">
        <div
          class="vaw-heads-stage"
          style={{ width: `${layout.width}px`, height: `${layout.height}px` }}
        >
          <HeadsCanvas store={store} info={info} layout={layout} />
          {info.num_heads.map((_, layer) => (
            <span
              class="vaw-heads-layer"
              key={`column ${info.num_layers} ${layer}`}
              style={{
                left: `${layout.left + layer * layout.cellWidth}px`,
                width: `${layout.thumbnail.width}px`,
              }}
            >
              {layer}
            </span>
          ))}
          {Array.from({ length: Math.max(...info.num_heads) }, (_, head) => (
            <span
              class="vaw-heads-head"
              key={`row ${head}`}
              style={{
                top: `${layout.top + head * layout.cellHeight}px`,
                height: `${layout.thumbnail.height}px`,
              }}
            >
              {head}
            </span>
          ))}
          <HeadCells store={store} info={info} layout={layout} />
        </div>
      </div>
      <div class="vaw-row">
        <span class="vaw-muted">
          each picture: what {tokenName(info, store.shownToken.value)}{" "}
          {directionWords(store.traits.direction.value)}
        </span>
        <HeadScale store={store} />
        <Legend store={store} />
      </div>
    </Panel>
  );
}
