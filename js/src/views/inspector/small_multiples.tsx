// All heads of the selected layer beside each other.

import { useCallback } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import { patchMap, shownAttention } from "../../state/shown_attention";
import type { Store } from "../../state/store";
import { headName } from "../../state/words";
import { Canvas } from "../../ui/canvas";
import { HeadScale } from "../../ui/head_scale";
import { paintPlain } from "../../ui/paint_overlay";

function HeadMap({ store, info, head }: { store: Store; info: ModelInfo; head: number }) {
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const shown = shownAttention(store, info, head);
      const box = { x: 0, y: 0, width, height };
      if (shown) paintPlain(context, box, store, patchMap(info, shown));
    },
    [store, info, head],
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
          <HeadMap key={`head ${i - 1}`} store={store} info={info} head={i - 1} />
        ))}
      </div>
    </div>
  );
}
