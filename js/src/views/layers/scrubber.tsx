// The scrubber: how the decision forms, layer by layer, by DAAM or another explainer.

import { useSignal } from "@preact/signals";
import { useCallback, useEffect } from "preact/hooks";
import type { ModelInfo, Scale } from "../../protocol/schema";
import { explanationMap, mapsRefused, mapsShown, shownMap } from "../../state/maps";
import { pictureOf } from "../../state/pictures";
import type { Store } from "../../state/store";
import { mapTable } from "../../state/tables";
import { methodName } from "../../state/words";
import { BeforeAfter } from "../../ui/before_after";
import { Canvas } from "../../ui/canvas";
import { ColorBar } from "../../ui/colorbar";
import { Panel, Segmented, Select } from "../../ui/controls";
import { OverlayControls } from "../../ui/overlay_controls";
import { Faithful } from "./faithfulness";
import { Film } from "./film";
import { paintLayer } from "./map_paint";

const SEES =
  "The picture after each layer, from the first to the last: bright where the method finds what " +
  "speaks for the class. The bar below says how much there is.";

const SCALES = [
  { key: "shared", label: "one scale for all layers" },
  { key: "layer", label: "each layer its own" },
  { key: "sigmoid", label: "authors' sigmoid" },
];

const FRAME_MS = 500;

function Player({ store, info }: { store: Store; info: ModelInfo }) {
  const playing = useSignal(false);
  const layer = store.traits.selected_layer;
  useEffect(() => {
    if (!playing.value) return;
    const timer = setInterval(() => {
      store.set({ selected_layer: (layer.peek() + 1) % info.num_layers });
    }, FRAME_MS);
    return () => clearInterval(timer);
  }, [playing.value, store, info.num_layers, layer]);
  return (
    <div class="vaw-player">
      <button
        type="button"
        aria-pressed={playing.value}
        data-testid="play"
        onClick={() => {
          playing.value = !playing.value;
        }}
      >
        {playing.value ? "pause" : "play"}
      </button>
      <input
        type="range"
        min="0"
        max={info.num_layers - 1}
        value={layer.value}
        aria-label="layer"
        data-testid="layer-slider"
        onInput={(event) => store.set({ selected_layer: Number(event.currentTarget.value) })}
      />
      <span class="vaw-player-layer">layer {layer.value}</span>
    </div>
  );
}

function BigPicture({ store, info }: { store: Store; info: ModelInfo }) {
  const picture = pictureOf(store);
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const layer = store.traits.selected_layer.value;
      paintLayer(context, width, height, store, info, picture.value, layer);
    },
    [store, info, picture],
  );
  return (
    <Canvas
      aspect={info.image_height / info.image_width}
      paint={paint}
      maxWidth={420}
      testid="map-canvas"
      label={`${info.image_name} with the map after layer ${store.traits.selected_layer.value}`}
    />
  );
}

export function Scrubber({ store, compact = false }: { store: Store; compact?: boolean }) {
  const info = store.info.value;
  if (!info) return null;
  const Method = compact ? Select : Segmented;
  const { method, scale, selected_layer, colormap } = store.traits;
  const all = mapsShown(store);
  const map = all && shownMap(all, info.num_layers, selected_layer.value, scale.value);
  return (
    <Panel
      title="Layers"
      sees={SEES}
      name="scrubber"
      saves="layers"
      table={() =>
        mapTable(info.num_heads.map((_, layer) => [layer, explanationMap(store, info, layer)]))
      }
      note={[store.decision.value?.target_name, "after each layer"].filter(Boolean).join(", ")}
      controls={
        <>
          <BeforeAfter store={store} />
          <Method
            label="method"
            testid="method"
            options={info.methods}
            value={method.value}
            onChange={(value: string) => store.set({ method: value })}
          />
        </>
      }
    >
      {mapsRefused(store) && (
        <p data-testid="method-refused">
          {methodName(info, method.value)} is refused: {mapsRefused(store)}
        </p>
      )}
      <Film store={store} info={info} />
      <div class={compact ? "vaw-stack" : "vaw-beside vaw-scrub"}>
        {!compact && <BigPicture store={store} info={info} />}
        <div class="vaw-stack">
          <div class="vaw-row">
            <Player store={store} info={info} />
            <Select
              label="scale"
              value={scale.value}
              options={SCALES}
              onChange={(value) => store.set({ scale: value as Scale })}
            />
            <ColorBar
              low={map?.low ?? Number.NaN}
              high={map?.high ?? Number.NaN}
              colormap={colormap.value}
              label={scale.value === "sigmoid" ? "s(5 D / g)" : methodName(info, method.value)}
              hint={info.methods.find((choice) => choice.key === method.value)?.hint ?? ""}
            />
          </div>
          {!compact && <OverlayControls store={store} />}
          {store.decision.value && <Faithful store={store} />}
        </div>
      </div>
    </Panel>
  );
}
