// Beside the map: what the head does, as a picture; heads like it; and the clusters.

import { useCallback } from "preact/hooks";
import { paintMap } from "../../draw/heatmap";
import type { ClusterInfo, FamilyName, Head } from "../../protocol/schema";
import { headKey } from "../../state/heads";
import type { Pictures } from "../../state/patterns";
import type { Store } from "../../state/store";
import { percent } from "../../state/words";
import { Canvas } from "../../ui/canvas";
import { explained } from "../../ui/tips";
import { patternAt } from "./pattern_paint";

interface ThumbnailProps {
  store: Store;
  family: FamilyName;
  pictures: Pictures;
  index: number;
  label: string;
  testid: string;
  width: number;
}

/** Attention of a head, pooled: who looks at whom. */
export function Thumbnail(props: ThumbnailProps) {
  const { store, family, pictures, index, label, testid, width } = props;
  const paint = useCallback(
    (context: CanvasRenderingContext2D, w: number, h: number) => {
      const map = { ...patternAt(pictures, index), offset: 0, low: 0, high: 1 };
      const colormap = store.traits.colormap.value;
      const style = { colormap, interpolation: "nearest", opacity: 1 } as const;
      paintMap(context, map, style, { x: 0, y: 0, width: w, height: h });
    },
    [store, pictures, index],
  );
  return (
    <Canvas
      aspect={family === "class" ? 0.5 : 1}
      paint={paint}
      label={label}
      testid={testid}
      maxWidth={width}
    />
  );
}

/** What the two axes of a thumbnail are. */
export const READING: Record<FamilyName, string> = {
  patches: "rows are queries, columns are keys; patches in 7 × 7 cells; square roots",
  class:
    "left: what the class token attends to; right: what attends to it; square roots, each on its own scale",
};

interface AlikeProps {
  store: Store;
  heads: readonly (Head & { distance?: number })[];
}

/** Heads that do the same, as buttons that select them. */
export function Alike({ store, heads }: AlikeProps) {
  return (
    <div class="vaw-chips" data-testid="alike">
      {heads.map(([layer, head]) => (
        <button
          type="button"
          class="vaw-chip"
          key={headKey(layer, head)}
          onPointerEnter={() => {
            store.hoveredHead.value = [layer, head];
          }}
          onPointerLeave={() => {
            store.hoveredHead.value = null;
          }}
          onClick={() => store.set({ selected_layer: layer, selected_head: head })}
        >
          {layer}.{head}
        </button>
      ))}
    </div>
  );
}

interface ClusterProps {
  store: Store;
  family: FamilyName;
  clusters: readonly ClusterInfo[];
  pictures: Pictures;
  total: number;
  /** Cluster of the head that is looked at, or -1. */
  current: number;
  onCluster: (index: number) => void;
}

export function Clusters(props: ClusterProps) {
  const { store, family, clusters, pictures, total, current, onCluster } = props;
  return (
    <ul class="vaw-clusters" data-testid="clusters">
      {clusters.map((cluster, index) => (
        <li
          key={cluster.name}
          class={index === current ? "vaw-current" : ""}
          onPointerEnter={() => onCluster(index)}
          onPointerLeave={() => onCluster(-1)}
          {...explained(scoresOf(cluster))}
        >
          <Thumbnail
            store={store}
            family={family}
            pictures={pictures}
            index={index}
            label={`mean pattern of ${cluster.name}`}
            testid={`cluster-${index}`}
            width={family === "class" ? 72 : 44}
          />
          <span class="vaw-cluster-words">
            <b>{cluster.name}</b>
            <span class="vaw-muted">
              {percent(cluster.size / total)} of all heads, {layersOf(cluster)}
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Where most of the heads of a cluster lie: "layers 8 to 11". */
export function layersOf(cluster: ClusterInfo): string {
  const most = Math.max(...cluster.layers.map(([, count]) => count));
  const many = cluster.layers.filter(([, count]) => count >= most / 4).map(([layer]) => layer);
  const [first, last] = [Math.min(...many), Math.max(...many)];
  return first === last ? `layer ${first}` : `layers ${first} to ${last}`;
}

function scoresOf(cluster: ClusterInfo): string {
  const scores = Object.entries(cluster.scores).sort((a, b) => b[1] - a[1]);
  const words = scores.map(([name, score]) => `${name} ${score.toFixed(2)}`);
  return `How much its heads attend like a head that does one thing only:\n${words.join("\n")}`;
}
