// Beside the map of patterns: what the head under the pointer does, those like it, the clusters.

import type { FamilyInfo, FamilyName, Head } from "../../protocol/schema";
import { placeAmong } from "../../state/heads";
import { alike, type PatternMap, type Pictures } from "../../state/patterns";
import type { Store } from "../../state/store";
import { headName, percent } from "../../state/words";
import { Alike, Clusters, READING, Thumbnail } from "./pattern_side";

const MOST_ALIKE = 6;

/** In pixels, as in the style sheet. */
const PICTURE_WIDTH = 150;

interface Props {
  store: Store;
  family: FamilyName;
  about: FamilyInfo;
  map: PatternMap;
  /** All heads in the order of the map. */
  heads: readonly Head[];
  /** Which of this image's heads is looked at, or -1. */
  shown: number;
  /** The point of the map under the pointer, or -1. */
  over: number;
  /** The cluster of what is read, or -1. */
  label: number;
  /** That of the point alone, or those of all this image's heads. */
  pictures: Pictures | null;
  /** Points in the lasso. */
  lasso: number[];
  onCluster: (index: number) => void;
}

export function PatternReading(props: Props) {
  const { store, family, about, map, heads, shown, over, label, pictures, lasso } = props;
  // those like the selected head: the list must not change under the pointer that is on it
  const { selected_layer, selected_head } = store.traits;
  const chosen = placeAmong(heads, [selected_layer.value, selected_head.value]);
  const like = chosen >= 0 ? chosen : shown;
  const says = reading(props);
  return (
    <div class="vaw-stack">
      <div class="vaw-pattern-picture">
        {pictures ? (
          <Thumbnail
            store={store}
            family={family}
            pictures={pictures}
            index={over >= 0 ? 0 : shown}
            label={`attention of ${says}`}
            testid="pattern-thumbnail"
            width={PICTURE_WIDTH}
          />
        ) : (
          <div class={`vaw-no-picture vaw-of-${family}`} />
        )}
        <div class="vaw-stack">
          <p class="vaw-reads" data-testid="pattern-says">
            {says}
          </p>
          <p class="vaw-muted">
            {over >= 0 ? "as the map remembers it; " : ""}
            {READING[family]}
          </p>
        </div>
      </div>
      {like >= 0 && (
        <div class="vaw-row">
          <span class="vaw-muted">heads like {headName(...(heads[like] as Head))}</span>
          <Alike
            store={store}
            heads={alike(map.distances, heads.length, like, MOST_ALIKE).map(
              ({ other }) => heads[other] as Head,
            )}
          />
        </div>
      )}
      {lasso.length > 0 && <Lassoed store={store} points={lasso} heads={heads.length} map={map} />}
      <Clusters
        store={store}
        family={family}
        clusters={about.clusters}
        pictures={map.clusters}
        total={about.points}
        current={label}
        onCluster={props.onCluster}
      />
      <p class="vaw-muted" data-testid="pattern-quality">
        {qualityOf(about)}
      </p>
    </div>
  );
}

/** The head under the pointer, or the one that is looked at, in words. */
function reading({ store, about, heads, shown, over, label }: Props): string {
  const name = about.clusters[label]?.name ?? "";
  if (over >= 0) {
    const [layer, head] = heads[over % heads.length] ?? [0, 0];
    return `${headName(layer, head)} on image ${Math.floor(over / heads.length)}: ${name}`;
  }
  if (shown < 0) return "Point at a head, or choose one.";
  return `${headName(...store.shownHead.value)} here: ${name || "…"}`;
}

function Lassoed(props: { store: Store; points: number[]; heads: number; map: PatternMap }) {
  const { store, points, heads, map } = props;
  const images = new Set(points.map((point) => Math.floor(point / heads))).size;
  const here = store.brush.heads.value.length;
  return (
    <p data-testid="lasso-says">
      In the lasso: {points.length} heads ({percent(points.length / map.labels.length)}) of {images}{" "}
      images{here > 0 ? `, ${here} of this image, brushed in the grid: p prunes them` : ""}.
    </p>
  );
}

/** How far a map can be trusted. */
function qualityOf({ error, pca_error, stability, images }: FamilyInfo): string {
  const gain = pca_error > 0 ? 1 - error / pca_error : 0;
  const words = [
    `${images} ${images === 1 ? "image" : "images"}`,
    gain >= 0.005
      ? `reconstruction error ${percent(gain)} below PCA`
      : "reconstruction error no lower than PCA",
  ];
  if (stability !== null) words.push(`cluster stability (ARI) ${stability.toFixed(2)}`);
  return words.join("; ");
}
