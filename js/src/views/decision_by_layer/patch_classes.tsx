// What each patch would say by itself after a layer: its likeliest class in color, or how much it
// speaks for what is explained.

import { type Signal, useSignal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { type Heatmap, limits } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import type { LayerDecisions, PatchDecisions } from "../../state/layer_decisions";
import type { Store } from "../../state/store";
import { className, moreClasses, outputName, tokenName } from "../../state/words";
import { ColorBar } from "../../ui/colorbar";
import { Segmented } from "../../ui/controls";
import { PatchPicture } from "../../ui/patch_picture";
import { ClassChip } from "./class_chip";
import { valueSays } from "./layer_lines";
import { paintPatchClasses } from "./patch_paint";

/** Classes of the legend; the others are counted. */
const LISTED = 6;

interface Props {
  store: Store;
  info: ModelInfo;
  decisions: LayerDecisions;
  layer: Signal<number>;
}

/** By each patch alone, what is explained; on one scale for all layers. */
export function targetMap(
  info: ModelInfo,
  decisions: LayerDecisions,
  patches: PatchDecisions,
  layer: number,
): Heatmap {
  const { rows, cols } = info;
  const [low, high] = limits(patches.target);
  const asClass = decisions.target >= 0 && info.output !== "value";
  const ends = asClass ? { low: 0, high: Math.max(high, 1e-9) } : { low, high };
  return { values: patches.target, offset: layer * rows * cols, rows, cols, ...ends };
}

function patchSays({ store, info, decisions, layer }: Props): string {
  const token = store.hovered.value ?? store.traits.selected_token.value;
  const patch = token - info.prefix.length;
  if (patch < 0) return "Point at a patch to read its classes.";
  const best = decisions.patches?.best(layer.value, patch) ?? [];
  const said = best.map(
    ({ index, value }) => `${className(info, index)} ${valueSays(info, value)}`,
  );
  return `${tokenName(info, token)} after layer ${layer.value}: ${said.join(", ")}`;
}

export function PatchClasses(props: Props) {
  const { store, info, decisions, layer } = props;
  const shown = useSignal<"classes" | "target">("classes");
  const patches = decisions.patches;
  const classes = shown.value === "classes";
  const map = useCallback(
    () => (patches && !classes ? targetMap(info, decisions, patches, layer.value) : null),
    [classes, info, decisions, patches, layer],
  );
  const tint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) =>
      paintPatchClasses(context, width, height, info, decisions, layer.value),
    [info, decisions, layer],
  );
  if (!patches) return <p class="vaw-muted">{decisions.patchesRefused}</p>;
  const says = patchSays(props);
  const ends = targetMap(info, decisions, patches, layer.value);
  return (
    <div class="vaw-by-patch">
      <PatchPicture
        store={store}
        info={info}
        map={map}
        label={says}
        testid="patch-classes"
        {...(classes ? { tint } : {})}
      />
      <div class="vaw-stack">
        <Segmented
          label="what lies on the picture"
          testid="patch-reading"
          options={[
            { key: "classes", label: "classes", hint: "what each patch would say" },
            { key: "target", label: "explained", hint: `how much says ${decisions.targetName}` },
          ]}
          value={shown.value}
          onChange={(value) => {
            shown.value = value;
          }}
        />
        <p class="vaw-patch-says" aria-live="polite" data-testid="patch-says">
          {says}
        </p>
        {classes ? (
          <Legend {...props} patches={patches} />
        ) : (
          <ColorBar
            low={ends.low}
            high={ends.high}
            colormap={store.traits.colormap.value}
            label={`${outputName(info)} of ${decisions.targetName}, one scale for all layers`}
          />
        )}
      </div>
    </div>
  );
}

function Legend({ store, info, decisions, layer, patches }: Props & { patches: PatchDecisions }) {
  const counts = patches.counts(layer.value);
  const rest = counts.slice(LISTED).reduce((sum, { count }) => sum + count, 0);
  const others = counts.length - LISTED;
  return (
    <div class="vaw-chips" data-testid="patch-legend">
      {counts.slice(0, LISTED).map(({ index, count }) => (
        <ClassChip
          key={index}
          store={store}
          info={info}
          decisions={decisions}
          index={index}
          layer={layer.value}
        >
          <span class="vaw-muted">{count}</span>
        </ClassChip>
      ))}
      {rest > 0 && (
        <span class="vaw-muted vaw-more">
          {moreClasses(others)}: {rest} patches
        </span>
      )}
    </div>
  );
}
