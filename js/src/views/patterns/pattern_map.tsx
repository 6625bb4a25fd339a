// What patterns the heads have learned: a map of all heads of a set of images, those alike together.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { FamilyInfo, FamilyName, ModelInfo } from "../../protocol/schema";
import { headCount, headsInOrder, placeAmong } from "../../state/heads";
import { hereOf } from "../../state/patterns";
import type { Store } from "../../state/store";
import { headTable } from "../../state/tables";
import { Panel, Segmented } from "../../ui/controls";
import { PatternReading } from "./pattern_reading";
import { PatternScatter } from "./pattern_scatter";
import { usePatternData } from "./use_pattern_data";

const SEES =
  "Each dot is a head on one picture. Heads that attend alike are near each other, and " +
  "groups of them are named.";

const TITLE = "Patterns of attention";

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
  const families = FAMILIES.filter(({ key }) => patterns.families?.[key]);
  const family = families.find(({ key }) => key === wanted.value)?.key ?? "patches";
  const about = patterns.families?.[family];
  const here = hereOf(family, store.patternsHere.value);
  const names = about?.clusters.map((one) => one.name) ?? [];
  return (
    <Panel
      title={TITLE}
      sees={SEES}
      name="patterns"
      table={
        here
          ? () =>
              headTable(info, {
                x: (_layer, _head, i) => here.points[2 * i] ?? Number.NaN,
                y: (_layer, _head, i) => here.points[2 * i + 1] ?? Number.NaN,
                cluster: (_layer, _head, i) => names[here.labels[i] ?? -1] ?? "",
              })
          : undefined
      }
      controls={
        families.length > 1 && (
          <Segmented
            label="family"
            options={families}
            value={family}
            onChange={(key) => {
              wanted.value = key;
            }}
            testid="pattern-family"
          />
        )
      }
    >
      {about ? (
        <MapOfHeads
          store={store}
          info={info}
          family={family}
          about={about}
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
  const point = useSignal(-1);
  const cluster = useSignal(-1);
  const lasso = useSignal<number[]>([]);
  const heads = useMemo(() => headsInOrder(info.num_heads), [info]);
  const { map, placed, thumbnails, remembered } = usePatternData(store, family, version, point);
  useEffect(() => {
    lasso.value = [];
  }, [store, family, version]);

  if (!map || map.family !== family) {
    const why = store.saved
      ? "There was no room for the map in this page."
      : "The map is on its way …";
    return <p class="vaw-muted">{why}</p>;
  }
  const here = hereOf(family, placed);
  const shown = placeAmong(heads, store.shownHead.value);
  const over = point.value;
  const hereLabel = shown >= 0 ? (here?.labels[shown] ?? -1) : -1;
  const label = over >= 0 ? (map.labels[over] ?? -1) : hereLabel;
  return (
    <div class="vaw-beside">
      <PatternScatter
        store={store}
        map={map}
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
      <PatternReading
        store={store}
        family={family}
        about={about}
        map={map}
        heads={heads}
        shown={shown}
        over={over}
        label={label}
        pictures={over >= 0 ? remembered : shown >= 0 ? thumbnails : null}
        lasso={lasso.value}
        onCluster={(index) => {
          cluster.value = index;
        }}
      />
    </div>
  );
}
