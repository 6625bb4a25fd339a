// What lies on the large picture: what the pointer is over, else what was chosen.

import type { Heatmap } from "../draw/heatmap";
import type { ModelInfo } from "../protocol/schema";
import { derived } from "./derived";
import { explanationMap } from "./maps";
import type { NamedMap } from "./results";
import { largeAttention, patchMap } from "./shown_attention";
import type { Store } from "./store";

export type OnPicture =
  | { kind: "attention"; layer: number; head: number }
  | { kind: "explanation"; layer: number }
  | { kind: "map"; named: NamedMap }
  | { kind: "plain" };

/** What lies there now; reading it subscribes a view. */
export function overlayShown(store: Store, info: ModelInfo): OnPicture {
  const { overlay, selected_layer, selected_head } = store.traits;
  const named = store.hoveredMap.value;
  if (named) return { kind: "map", named };
  const head = store.hoveredHead.value;
  if (head) return { kind: "attention", layer: head[0], head: head[1] };
  const over = store.hoveredLayer.value;
  if (over !== null) return { kind: "explanation", layer: over };
  const layer = Math.min(selected_layer.value, info.num_layers - 1);
  if (overlay.value === "plain") return { kind: "plain" };
  if (overlay.value === "explanation") return { kind: "explanation", layer };
  return { kind: "attention", layer, head: selected_head.value };
}

/** Its map; null of the plain picture, and while it is not known. */
export const mapOnPicture = derived((store): Heatmap | null => {
  const info = store.info.value;
  const shown = info && overlayShown(store, info);
  if (!shown || shown.kind === "plain") return null;
  if (shown.kind === "map") return shown.named.map;
  if (shown.kind === "explanation") return explanationMap(store, info, shown.layer);
  const attention = largeAttention(store, info, shown.layer, shown.head);
  return attention && patchMap(info, attention);
});
