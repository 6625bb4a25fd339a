// Head importance grid: layers x heads, what each sees, how much it matters, and pruning by click.

import type { ModelInfo, StoredInfo } from "../../protocol/schema";
import { headSays } from "../../state/describe_head";
import { headRows } from "../../state/shown_attention";
import type { Store } from "../../state/store";
import { imagesOf, storedOf } from "../../state/stored";
import { importanceTable } from "../../state/tables";
import { className, number, whatAttends } from "../../state/words";
import { ColorBar } from "../../ui/colorbar";
import { Fold, Panel, Segmented } from "../../ui/controls";
import { HeadScale } from "../../ui/head_scale";
import { Later } from "../../ui/later";
import { SinkNote } from "../../ui/sink_note";
import { explained } from "../../ui/tips";
import { later } from "./code_here";
import { importanceScale } from "./head_grid_paint";
import { LiveAccuracy, PruneTools } from "./head_tools";
import { HeadsOf } from "./heads_of";
import { HeadsStage } from "./heads_stage";

const SEES =
  "Each small picture is one head: it is bright where the head attends to. Columns are layers, " +
  "from the first to the last. The bar below a picture says how much the decision needs that " +
  "head.";

function Legend({ store }: { store: Store }) {
  const importance = store.importance.value;
  const scale = number(importanceScale(importance));
  const metric = store.info.value?.metrics.find((choice) => choice.key === importance?.metric);
  const signed = importance?.metric === "probability" || importance?.metric === "loss";
  // A value may be good or bad: only where it goes is said.
  const ofValue = Boolean(importance?.ofValue);
  return (
    <div class="vaw-legend" {...explained(metric?.hint)}>
      {signed && (
        <span>
          <i class="vaw-helps" /> removing {ofValue ? "raises it" : "helps"}
        </span>
      )}
      <span>
        <i class="vaw-hurts" /> removing {ofValue ? "lowers it" : signed ? "hurts" : "matters"}
      </span>
      <span class="vaw-muted">
        full bar {scale} {metric && `(${metric.label})`}
      </span>
    </div>
  );
}

function Readout({ store }: { store: Store }) {
  const stored = storedOf(store.traits._stored.value);
  const over = store.importanceOf.value === "images" && stored ? overWhat(store, stored) : "";
  return (
    <p class="vaw-says" data-testid="readout">
      {headSays(store, ...store.shownHead.value)}
      {over}
    </p>
  );
}

/** ", the mean over 12,288 images", or over those of a class. */
function overWhat(store: Store, { read, classes, of_class }: StoredInfo): string {
  const info = store.info.value;
  const [, count = 0] = classes.find(([index]) => index === of_class) ?? [];
  const of = info && of_class >= 0 ? ` of ${className(info, of_class)}` : "";
  return read === 0
    ? ". The folder is being read …"
    : `, the mean over ${imagesOf(of ? count : read)}${of}`;
}

const VIEWS = [
  { key: "grid", label: "grid", hint: "Layers are columns, heads are rows." },
  { key: "line", label: "line", hint: "Along the depth of the model, as in Li et al. 2023." },
  { key: "ranked", label: "ranked", hint: "The most important first." },
] as const;

/** Follows the pointer over the picture, so it is drawn by itself. */
function Caption({ store, info }: { store: Store; info: ModelInfo }) {
  return (
    <span class="vaw-muted">
      each picture: {whatAttends(info, store.shownToken.value, store.traits.direction.value)}
    </span>
  );
}

/** Follows the pointer over the picture, too. */
function GridColors({ store }: { store: Store }) {
  const perHead = store.headScale.value === "own";
  const high = perHead ? "highest" : `${number(headRows(store).high)}+`;
  return (
    <ColorBar
      low="0"
      high={high}
      colormap={store.traits.colormap.value}
      label={perHead ? "of each head" : "attention"}
      hint="Share of the attention after the softmax; nine in ten heads stay below the top color."
    />
  );
}

export function HeadGrid({ store }: { store: Store }) {
  const info = store.info.value;
  if (!info) return null;
  const grid = store.headView.value === "grid";
  return (
    <Panel
      title="Heads"
      sees={SEES}
      name="heads"
      table={() => importanceTable(info, store.importance.peek())}
      controls={
        <>
          <HeadsOf store={store} info={info} />
          <Segmented
            label="how to show the heads"
            testid="head-view"
            options={VIEWS}
            value={store.headView.value}
            onChange={(view) => {
              store.headView.value = view;
            }}
          />
        </>
      }
    >
      <Readout store={store} />
      {grid ? (
        <HeadsStage store={store} info={info} />
      ) : (
        <>
          <Later store={store} code={later} name="chart" />
          <PruneTools store={store} marks={false} />
        </>
      )}
      <div class="vaw-row">
        {grid && (
          <>
            <Caption store={store} info={info} />
            <HeadScale store={store} />
            <GridColors store={store} />
          </>
        )}
        {info.metrics.length > 0 && <Legend store={store} />}
        <LiveAccuracy store={store} />
      </div>
      {grid && <SinkNote store={store} info={info} />}
      {info.by_class && (
        <>
          <Fold title="Parts of one head" testid="fold-partial">
            <Later store={store} code={later} name="partial" />
          </Fold>
          <Fold title="Pruning curve" testid="fold-curve">
            <Later store={store} code={later} name="curve" />
          </Fold>
        </>
      )}
    </Panel>
  );
}
