// A film of the maps as they stand after each layer, depth from left to right.

import { useSignalEffect } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import { layerShares, mapsShown } from "../../state/maps";
import { pictureOf } from "../../state/pictures";
import type { Store } from "../../state/store";
import { Canvas } from "../../ui/canvas";
import { consume } from "../../ui/keys";
import { NARROWEST, WIDEST } from "../../ui/layer_columns";
import { moved } from "../../ui/roving";
import { scrolledTo } from "../../ui/scrolled_to";
import { paintLayer } from "./map_paint";

function Frame(props: { store: Store; info: ModelInfo; layer: number; share: number }) {
  const { store, info, layer, share } = props;
  const picture = pictureOf(store);
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) =>
      paintLayer(context, width, height, store, info, picture.value, layer),
    [store, info, layer, picture],
  );
  const chosen = store.traits.selected_layer.value === layer;
  return (
    <div
      role="option"
      class="vaw-frame"
      aria-selected={chosen}
      tabIndex={chosen ? 0 : -1}
      data-testid={`frame-${layer}`}
      onClick={() => store.set({ selected_layer: layer, overlay: "explanation" })}
      onPointerEnter={() => {
        store.hoveredLayer.value = layer;
      }}
      onPointerLeave={() => {
        store.hoveredLayer.value = null;
      }}
      onKeyDown={() => undefined}
    >
      <span class="vaw-frame-layer">
        <span class="vaw-aloud">layer </span>
        {layer}
        <span class="vaw-aloud">, </span>
      </span>
      <Canvas aspect={info.image_height / info.image_width} paint={paint} />
      <span
        class="vaw-share"
        aria-hidden="true"
        data-tip="The map's sum as a share of the largest layer's"
      >
        <i style={{ width: `${share * 100}%` }} />
      </span>
      <span class="vaw-frame-share">
        {Math.round(share * 100)}
        <span class="vaw-aloud"> % of the map</span>
      </span>
    </div>
  );
}

export function Film({ store, info }: { store: Store; info: ModelInfo }) {
  const root = useRef<HTMLDivElement>(null);
  const all = mapsShown(store);
  const shares = all ? layerShares(all, info.num_layers) : [];
  useSignalEffect(() => {
    const frame = root.current?.children[store.traits.selected_layer.value];
    if (root.current && frame) scrolledTo(root.current, frame as HTMLElement);
  });
  useEffect(
    () => () => {
      store.hoveredLayer.value = null;
    },
    [store],
  );
  const onKey = (event: KeyboardEvent) => {
    const layer = store.traits.selected_layer.peek();
    const to = moved(event.key, { row: 0, col: layer }, 1, info.num_layers);
    if (!to) return;
    consume(event);
    store.set({ selected_layer: to.col });
    root.current?.querySelector<HTMLElement>(`[data-testid="frame-${to.col}"]`)?.focus();
  };
  return (
    <div
      ref={root}
      class="vaw-film"
      role="listbox"
      aria-orientation="horizontal"
      aria-label="maps after each layer"
      tabIndex={-1}
      style={{
        gridTemplateColumns: `repeat(${info.num_layers}, minmax(${NARROWEST}px, ${WIDEST}px))`,
      }}
      onKeyDown={onKey}
    >
      {info.num_heads.map((_, layer) => (
        <Frame
          key={`frame ${info.num_layers} ${layer}`}
          store={store}
          info={info}
          layer={layer}
          share={shares[layer] ?? 0}
        />
      ))}
    </div>
  );
}
