// What patterns the heads have learned: a map of all heads of a set of images, those alike together.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Params, Reply } from "../../protocol/requests";
import { decode } from "../../protocol/safetensors";
import type { FamilyInfo, FamilyName, Head, ModelInfo } from "../../protocol/schema";
import { headCount, headsInOrder, placeAmong } from "../../state/heads";
import {
  alike,
  hereOf,
  type PatternMap,
  type Pictures,
  patternMapOf,
  picturesOf,
} from "../../state/patterns";
import type { Store } from "../../state/store";
import { headName, percent } from "../../state/words";
import { Panel, Segmented } from "../../ui/controls";
import { PatternScatter } from "./pattern_scatter";
import { Alike, Clusters, READING, Thumbnail } from "./pattern_side";

const TITLE = "Patterns of attention";
const MOST_ALIKE = 6;
/** A resting pointer asks for the picture under it, a moving one does not. */
const REST_MS = 70;

const FAMILIES = [
  { key: "patches", label: "among patches", hint: "attention of patches to patches" },
  {
    key: "class",
    label: "class token",
    hint: "what the class token attends to, and what attends to it",
  },
] as const;

export function PatternMapView({ store }: { store: Store }) {
  const info = store.info.value;
  const patterns = store.traits._patterns_info.value;
  const wanted = useSignal<FamilyName>("patches");
  if (!info) return null;
  const known = FAMILIES.filter(({ key }) => patterns.families?.[key]);
  const family = known.find(({ key }) => key === wanted.value)?.key ?? "patches";
  const found = patterns.families?.[family];
  return (
    <Panel
      title={TITLE}
      name="patterns"
      controls={
        known.length > 1 && (
          <Segmented
            label="family"
            options={known}
            value={family}
            onChange={(key) => {
              wanted.value = key;
            }}
            testid="pattern-family"
          />
        )
      }
    >
      {found ? (
        <MapOfHeads
          store={store}
          info={info}
          family={family}
          about={found}
          version={patterns.version}
        />
      ) : (
        <Learn store={store} info={info} />
      )}
    </Panel>
  );
}

function Learn({ store, info }: { store: Store; info: ModelInfo }) {
  const error = useSignal("");
  const heads = headCount(info.num_heads);
  const images = info.set_size || 1;
  return (
    <div class="vaw-stack" data-testid="pattern-learn">
      <p class="vaw-muted">
        {info.set_size > 0
          ? `A map of what all ${heads} heads do on each of ${images} images: heads that attend alike lie together.`
          : `A map of what all ${heads} heads do on this image. A set of images (image_set=) makes a better one.`}
      </p>
      <p>
        <button
          type="button"
          class="vaw-primary"
          data-testid="learn-patterns"
          onClick={async () => {
            error.value = await store.request("learn_patterns", {});
          }}
        >
          learn the patterns of {heads * images} heads
        </button>
      </p>
      {error.value && <p role="alert">{error.value}</p>}
    </div>
  );
}

interface MapProps {
  store: Store;
  info: ModelInfo;
  family: FamilyName;
  about: FamilyInfo;
  version: number;
}

function MapOfHeads({ store, info, family, about, version }: MapProps) {
  const map = useSignal<PatternMap | null>(null);
  const thumbnails = useSignal<Pictures | null>(null);
  const remembered = useSignal<{ point: number; pictures: Pictures } | null>(null);
  const point = useSignal(-1);
  const cluster = useSignal(-1);
  const lasso = useSignal<number[]>([]);
  const looked = store.traits._version.value;
  const placed = store.patternsHere.value;
  const heads = useMemo(() => headsInOrder(info.num_heads), [info]);

  useEffect(() => {
    if (looked > 0) store.request("place_heads", {});
  }, [store, looked, version]);
  useEffect(() => {
    lasso.value = [];
    const abort = new AbortController();
    fetchInto(store, "pattern_map", { family }, abort.signal, (view) => {
      map.value = patternMapOf(family, decode(view));
    });
    return () => abort.abort();
  }, [store, family, version]);
  useEffect(() => {
    if (!placed) return;
    const abort = new AbortController();
    fetchInto(store, "pattern_thumbnails", { family }, abort.signal, (view) => {
      thumbnails.value = picturesOf(decode(view));
    });
    return () => abort.abort();
  }, [store, family, placed]);
  useEffect(() => {
    const index = point.value;
    if (index < 0) return;
    const abort = new AbortController();
    const rest = setTimeout(() => {
      fetchInto(store, "pattern_at", { family, index }, abort.signal, (view) => {
        remembered.value = { point: index, pictures: picturesOf(decode(view)) };
      });
    }, REST_MS);
    return () => {
      clearTimeout(rest);
      abort.abort();
    };
  }, [store, family, point.value]);

  const shown = map.value;
  if (!shown || shown.family !== family) return <p class="vaw-muted">The map is on its way …</p>;
  const here = hereOf(family, placed);
  const [layer, head] = store.shownHead.value;
  const at = placeAmong(heads, [layer, head]);
  // those like the selected head: the list must not change under the pointer that is on it
  const { selected_layer, selected_head } = store.traits;
  const chosen = placeAmong(heads, [selected_layer.value, selected_head.value]);
  const like = chosen >= 0 ? chosen : at;
  const over = point.value;
  const label = over >= 0 ? (shown.labels[over] ?? -1) : at >= 0 ? (here?.labels[at] ?? -1) : -1;
  const name = about.clusters[label]?.name ?? "";
  const [overLayer, overHead] = heads[over % heads.length] ?? [0, 0];
  const says =
    over >= 0
      ? `${headName(overLayer, overHead)} on image ${Math.floor(over / heads.length)}: ${name}`
      : at >= 0
        ? `${headName(layer, head)} here: ${name || "…"}`
        : "Point at a head, or choose one.";
  const picture = over >= 0 ? remembered.value : at >= 0 ? thumbnails.value : null;
  const pictures = picture && "pictures" in picture ? picture.pictures : picture;
  return (
    <div class="vaw-patterns-body">
      <PatternScatter
        store={store}
        map={shown}
        here={here}
        heads={heads}
        layers={info.num_layers}
        names={about.clusters.map((one) => one.name)}
        cluster={label}
        pointed={cluster.value}
        onPoint={(index) => {
          point.value = index;
        }}
        onLasso={(points) => {
          lasso.value = points;
        }}
      />
      <div class="vaw-stack">
        <p class="vaw-reads" data-testid="pattern-says">
          {says}
        </p>
        <div class="vaw-pattern-picture">
          {pictures && (
            <Thumbnail
              store={store}
              family={family}
              pictures={pictures}
              index={over >= 0 ? 0 : at}
              label={`attention of ${says}`}
              testid="pattern-thumbnail"
              width={family === "class" ? 260 : 150}
            />
          )}
          <p class="vaw-muted">
            {over >= 0 ? "as the map remembers it; " : ""}
            {READING[family]}
          </p>
        </div>
        {like >= 0 && (
          <div class="vaw-row">
            <span class="vaw-muted">heads like {headName(...(heads[like] as Head))}</span>
            <Alike
              store={store}
              heads={alike(shown.distances, heads.length, like, MOST_ALIKE).map(
                ({ other }) => heads[other] as [number, number],
              )}
            />
          </div>
        )}
        {lasso.value.length > 0 && (
          <Lassoed
            store={store}
            points={lasso.value}
            heads={heads.length}
            info={info}
            map={shown}
          />
        )}
        <Clusters
          store={store}
          family={family}
          clusters={about.clusters}
          pictures={shown.clusters}
          total={about.points}
          current={label}
          onCluster={(index) => {
            cluster.value = index;
          }}
        />
        <p class="vaw-muted" data-testid="pattern-quality">
          {qualityOf(about)}
        </p>
      </div>
    </div>
  );
}

function Lassoed(props: {
  store: Store;
  points: number[];
  heads: number;
  info: ModelInfo;
  map: PatternMap;
}) {
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

type PatternMethod = "pattern_map" | "pattern_thumbnails" | "pattern_at";

function fetchInto<M extends PatternMethod>(
  store: Store,
  method: M,
  params: Params<M>,
  signal: AbortSignal,
  take: (buffer: Reply<M>["buffer"]) => void,
): void {
  store.requests.ask(method, params, signal).then(
    ({ buffer }) => {
      if (!signal.aborted) take(buffer);
    },
    () => undefined, // given up, or not there yet: it is asked for again when it is
  );
}
