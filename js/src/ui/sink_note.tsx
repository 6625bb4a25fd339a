// What the rings are: patches to which all tokens attend, whatever is asked about.

import type { ModelInfo } from "../protocol/schema";
import type { Store } from "../state/store";

/** "layers 0, 1 and 5", "layers 8 to 11". */
function layersSay(layers: readonly number[]): string {
  const [first = 0, last = 0] = [layers[0], layers.at(-1)];
  if (layers.length === 1) return `layer ${first}`;
  if (last - first + 1 === layers.length) return `layers ${first} to ${last}`;
  return `layers ${layers.slice(0, -1).join(", ")} and ${last}`;
}

/** "4 patches in layers 8 to 11"; null where there are none, or none is known yet. */
export function sinksSay(store: Store, info: ModelInfo): string | null {
  const layers = info.num_heads.flatMap((_, layer) =>
    store.attention.sinks(layer).length > 0 ? [layer] : [],
  );
  const sinks = new Set(layers.flatMap((layer) => store.attention.sinks(layer)));
  if (sinks.size === 0) return null;
  return `${sinks.size === 1 ? "1 patch" : `${sinks.size} patches`} in ${layersSay(layers)}`;
}

export function SinkNote({ store, info }: { store: Store; info: ModelInfo }) {
  const sinks = sinksSay(store, info);
  if (!sinks) return null;
  return (
    <p class="vaw-muted" data-testid="sinks">
      ○ attention sinks: {sinks}. Each draws more than 12 times an equal share of the attention,
      whichever token asks. Many Vision Transformers park attention like this. They may be brighter
      than the scale, which leaves them out.
    </p>
  );
}
