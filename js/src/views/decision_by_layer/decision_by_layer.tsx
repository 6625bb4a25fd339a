// How the model came to decide: what it would say if it stopped after each layer (logit lens).

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { csv } from "../../draw/figures";
import type { ModelInfo } from "../../protocol/schema";
import { decidedAt, type LayerDecisions, layerDecisionsOf } from "../../state/layer_decisions";
import type { Store } from "../../state/store";
import { className } from "../../state/words";
import { Panel } from "../../ui/controls";
import { ClassChip } from "./class_chip";
import { LayerLines, valueSays } from "./layer_lines";
import { PatchClasses, targetMap } from "./patch_classes";

const SEES =
  "What the model would say if it stopped after each layer, a line for each class; and below, " +
  "what each patch by itself would say.";

const WHY =
  "Each layer read out by the model's own norm and head (logit lens). Both were trained for the last " +
  "layer: what low layers say means little.";

/** What there is to see, in a sentence. */
export function decisionsSay(info: ModelInfo, decisions: LayerDecisions): string {
  const last = decisions.layers - 1;
  const [end] = decisions.best(last);
  if (!end) return "";
  const is = `${className(info, end.index)}, ${valueSays(info, end.value)} in the end`;
  if (info.output === "value" && info.num_classes === 1) return is;
  const from = decidedAt(decisions);
  if (from === 0) return `It would say ${className(info, end.index)} after every layer: ${is}.`;
  const [other] = decisions.best(from - 1);
  const name = other ? className(info, other.index) : "another class";
  return `From layer ${from} on it would say ${is}; after layer ${from - 1} it would still say ${name}.`;
}

function table(info: ModelInfo, decisions: LayerDecisions): string {
  const rows = decisions.lines.flatMap(({ index, now, before }) =>
    Array.from(now, (value, layer) => [
      layer,
      className(info, index),
      value,
      before?.[layer] ?? "",
    ]),
  );
  return csv(["layer", "class", "now", "before pruning"], rows);
}

/** The values of the followed classes at the layer that is pointed at, or selected. */
function Values(props: {
  store: Store;
  info: ModelInfo;
  decisions: LayerDecisions;
  layer: number;
}) {
  const { store, info, decisions, layer } = props;
  const lines = [...decisions.lines].sort((a, b) => (b.now[layer] ?? 0) - (a.now[layer] ?? 0));
  return (
    <div class="vaw-chips vaw-layer-values" data-testid="layer-values">
      <span class="vaw-muted">after layer {layer}:</span>
      {lines.map(({ index, now, before }) => (
        <ClassChip key={index} store={store} info={info} decisions={decisions} index={index}>
          <b>{valueSays(info, now[layer] ?? Number.NaN)}</b>
          {before && (
            <span class="vaw-muted"> was {valueSays(info, before[layer] ?? Number.NaN)}</span>
          )}
        </ClassChip>
      ))}
    </div>
  );
}

function Shown({
  store,
  info,
  decisions,
}: {
  store: Store;
  info: ModelInfo;
  decisions: LayerDecisions;
}) {
  const pointed = useSignal<number | null>(null);
  const last = decisions.layers - 1;
  const layer = useComputed(() =>
    Math.min(pointed.value ?? store.traits.selected_layer.value, last),
  );
  // What is pointed at here lies on the large picture meanwhile.
  useSignalEffect(() => {
    const over = pointed.value;
    const { patches } = decisions;
    const name = `where patches would say ${decisions.targetName} after layer ${over}`;
    const map = over !== null && patches && targetMap(info, decisions, patches, over);
    store.hoveredMap.value = map ? { name, map } : null;
  });
  useEffect(
    () => () => {
      store.hoveredMap.value = null;
    },
    [store],
  );
  const said = (at: number) => {
    const best = decisions.best(at);
    const words = best.map(
      ({ index, value }) => `${className(info, index)} ${valueSays(info, value)}`,
    );
    return `layer ${at}: ${words.join(", ")}`;
  };
  return (
    <>
      <div class="vaw-row vaw-by-layer-says">
        <p data-testid="by-layer-says" aria-live="polite">
          {decisionsSay(info, decisions)}
        </p>
      </div>
      <LayerLines store={store} info={info} decisions={decisions} pointed={pointed} said={said} />
      <Values store={store} info={info} decisions={decisions} layer={layer.value} />
      <PatchClasses store={store} info={info} decisions={decisions} layer={layer} />
      {decisions.lines.some(({ before }) => before) && (
        <p class="vaw-muted">Dashed: before pruning.</p>
      )}
      <p class="vaw-muted">{WHY}</p>
    </>
  );
}

export function DecisionByLayer({ store }: { store: Store }) {
  const problem = useSignal("");
  const decisions = useComputed(() => layerDecisionsOf(store.layerDecisions.value)).value;
  const info = store.info.value;
  const version = store.traits._version.value;
  const ask = async () => {
    problem.value = await store.request("layer_decisions", {});
  };
  const current = decisions?.version === version;
  useEffect(() => {
    if (version > 0 && !current) ask();
  }, [store, version]);
  if (!info) return null;
  const busy = store.status.value.state === "computing";
  return (
    <Panel
      title="Decision by layer"
      sees={SEES}
      name="by-layer"
      table={decisions && !decisions.refused ? () => table(info, decisions) : undefined}
    >
      {problem.value && <p role="alert">{problem.value}</p>}
      {!current && decisions && !busy && (
        <button type="button" class="vaw-again" data-testid="by-layer-again" onClick={ask}>
          of an earlier state: read out again
        </button>
      )}
      {!decisions && <p class="vaw-muted">Reading out every layer …</p>}
      {decisions?.refused && (
        <p data-testid="by-layer-refused">
          No layer can be read out by itself: {decisions.refused}
        </p>
      )}
      {decisions && !decisions.refused && (
        <div class={current ? "vaw-stack" : "vaw-stack vaw-stale"} aria-busy={!current}>
          <Shown store={store} info={info} decisions={decisions} />
        </div>
      )}
    </Panel>
  );
}
