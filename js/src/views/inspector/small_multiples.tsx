// All heads of the selected layer beside each other.

import { useCallback } from "preact/hooks";
import { limits } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { headName } from "../../state/words";
import { Canvas } from "../../ui/canvas";
import { HeadScale } from "../../ui/head_scale";
import { paintPlain } from "../../ui/paint_overlay";
import { layerHigh, patchMap } from "./inspector_paint";

function HeadMap(props: { store: Store; info: ModelInfo; head: number; own: boolean }) {
  const { store, info, head, own } = props;
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const layer = store.traits.selected_layer.value;
      const token = store.shownToken.value;
      const values = new Float32Array(info.num_tokens);
      if (!store.attention.read(layer, head, token, values)) return;
      const high =
        own || head < 0
          ? limits(values, info.prefix.length)[1]
          : layerHigh(store, info, layer, token);
      const box = { x: 0, y: 0, width, height };
      paintPlain(context, box, store, patchMap(info, { values, high }));
    },
    [store, info, head, own],
  );
  const layer = store.traits.selected_layer.value;
  return (
    <button
      type="button"
      class="vaw-small"
      aria-pressed={store.traits.selected_head.value === head}
      onClick={() => store.set({ selected_head: head })}
    >
      <Canvas aspect={info.rows / info.cols} paint={paint} label={headName(layer, head)} />
      <span>{head < 0 ? "mean" : `head ${head}`}</span>
    </button>
  );
}

export function SmallMultiples({ store, info }: { store: Store; info: ModelInfo }) {
  const count = info.num_heads[store.traits.selected_layer.value] ?? 0;
  return (
    <div class="vaw-multiples">
      <div class="vaw-row">
        <span class="vaw-muted">all heads of layer {store.traits.selected_layer.value}</span>
        <HeadScale store={store} />
      </div>
      <div class="vaw-multiples-grid">
        {Array.from({ length: count + 1 }, (_, i) => (
          <HeadMap
            key={`head ${i - 1}`}
            store={store}
            info={info}
            head={i - 1}
            own={store.headScale.value === "own"}
          />
        ))}
      </div>
    </div>
  );
}
