// Maps side by side: hover or focus one to see how the others agree with it, Enter selects it.

import { type Signal, useSignal } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import type { Heatmap } from "../../draw/heatmap";
import type { Compared, ComparedScores, ModelInfo } from "../../protocol/schema";
import type { Selected } from "../../protocol/traits";
import { agreement, nameOf, rho, type Scaled, type Shown, says, tag } from "../../state/comparison";
import { best, CURVE_HINTS, CURVES, score } from "../../state/faithfulness";
import { pictureOf, setPicture } from "../../state/pictures";
import type { Store } from "../../state/store";
import { number } from "../../state/words";
import { Canvas, useWidth } from "../../ui/canvas";
import { consume } from "../../ui/keys";
import { paintOverlay } from "../../ui/paint_overlay";
import { moved } from "../../ui/roving";

const NARROWEST = 112;
const GAP = 8;

const SELECTS = {
  methods: "method",
  classes: "target",
  layers: "selected_layer",
  images: "selected_image",
  models: null, // a session looks at one model
} as const satisfies Record<Compared, keyof Selected | null>;

const selectedOf = (store: Store, of: Compared) => {
  const selection = SELECTS[of];
  return selection === null ? 0 : store.traits[selection].value;
};

interface Props {
  store: Store;
  info: ModelInfo;
  shown: Shown;
  maps: Scaled;
  /** Whether each map has its own range, which then stands below it. */
  own: boolean;
  lit: Signal<number | null>;
  scores: ComparedScores | null;
}

function heatmapOf({ comparison, rows, cols }: Shown, maps: Scaled, item: number): Heatmap {
  const [low, high] = maps.range(item);
  const { area } = comparison;
  return { values: maps.values, offset: item * rows * cols, rows, cols, low, high, area };
}

/** Insertion and deletion of one map; those furthest ahead of the center stand out. */
function Scores({ scores, item }: { scores: ComparedScores; item: number }) {
  const areas = scores.areas[item];
  const first = best(scores);
  return (
    <span class="vaw-compare-scores" data-testid={`scores-${item}`}>
      {CURVES.map((curve, i) => {
        const beside = areas ? `The center of the picture has ${score(areas.center?.[i])}.` : "";
        return (
          <span key={curve} data-tip={`${CURVE_HINTS[curve]} ${beside}`}>
            <span class="vaw-muted">{i === 0 ? "ins." : "del."}</span>{" "}
            {first[i] === item ? <b>{score(areas?.map?.[i])}</b> : score(areas?.map?.[i])}
          </span>
        );
      })}
    </span>
  );
}

function Tile({
  store,
  info,
  shown,
  maps,
  own,
  lit,
  scores,
  item,
  stop,
}: Props & { item: number; stop: boolean }) {
  const { comparison, rows, cols } = shown;
  const key = comparison.keys[item] ?? 0;
  const picture = comparison.of === "images" ? setPicture(store, Number(key)) : pictureOf(store);
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      const map = heatmapOf(shown, maps, item);
      paintOverlay(context, width, height, store, info.area, picture.value, map);
    },
    [store, info, picture, shown, maps, item],
  );
  const name = nameOf(info, comparison, item);
  const other = lit.value !== null && lit.value !== item ? lit.value : null;
  const r = other === null ? agreement(comparison, item) : comparison.correlation[other]?.[item];
  const note = comparison.notes[item];
  const range = maps.range(item).map(number).join(" to ");
  return (
    <div
      role="option"
      class={`vaw-compare-map${lit.value === item ? " vaw-lit" : ""}`}
      aria-selected={selectedOf(store, comparison.of) === key}
      data-tip={comparison.files[item] || info.methods.find((method) => method.key === key)?.hint}
      tabIndex={stop ? 0 : -1}
      data-item={item}
      data-testid={`compare-${item}`}
    >
      <Canvas
        aspect={
          rows === info.rows && cols === info.cols
            ? info.image_height / info.image_width
            : rows / cols
        }
        paint={paint}
      />
      <span class="vaw-compare-name">
        {name.endsWith(` ${key}`) ? "" : <b>{tag(comparison, item)} </b>}
        {name}
      </span>
      {note && <span class="vaw-muted">{note}</span>}
      <span class="vaw-compare-rho" data-testid={`rho-${item}`}>
        <span class="vaw-muted">{other === null ? "mean ρ" : "ρ"}</span> {rho(r)}
        {other !== null && <span class="vaw-muted"> with {tag(comparison, other)}</span>}
      </span>
      {scores && <Scores scores={scores} item={item} />}
      {own && <span class="vaw-muted vaw-compare-range">{range}</span>}
      <span class="vaw-aloud">{says(info, comparison, item)}</span>
    </div>
  );
}

export function CompareTiles(props: Props) {
  const { store, info, shown, maps, lit } = props;
  const { of, keys } = shown.comparison;
  /** Tells how the others agree with a map, and shows it on the large picture, if it is of that. */
  const point = (item: number | null) => {
    lit.value = item;
    store.hoveredMap.value =
      item === null || of === "images"
        ? null
        : { name: nameOf(info, shown.comparison, item), map: heatmapOf(shown, maps, item) };
  };
  useEffect(
    () => () => {
      store.hoveredMap.value = null;
    },
    [store],
  );
  const [root, width] = useWidth<HTMLDivElement>(640);
  const focused = useRef<number | null>(null);
  const chosen = keys.indexOf(selectedOf(store, of) as string | number);
  const cursor = useSignal<number | null>(null); // where the arrows are; at first on what is selected
  const stop = Math.min(keys.length - 1, cursor.value ?? Math.max(0, chosen));
  const fit = Math.max(1, Math.floor((width + GAP) / (NARROWEST + GAP)));
  const cols = Math.ceil(keys.length / Math.ceil(keys.length / fit)); // rows of about one length
  const itemOf = (event: Event) => {
    const tile = (event.target as Element).closest<HTMLElement>("[data-item]");
    return tile ? Number(tile.dataset.item) : null;
  };
  const select = (item: number) => {
    const selection = SELECTS[of];
    if (selection === null) return;
    store.hoveredMap.value = null;
    store.set({ [selection]: keys[item], overlay: "explanation" } as Partial<Selected>);
  };
  const onKey = (event: KeyboardEvent) => {
    const place = { row: Math.floor(stop / cols), col: stop % cols };
    const to = moved(event.key, place, Math.ceil(keys.length / cols), cols);
    if (to) {
      cursor.value = Math.min(keys.length - 1, to.row * cols + to.col);
      root.current?.querySelector<HTMLElement>(`[data-item="${cursor.value}"]`)?.focus();
    } else if (event.key === "Enter" || event.key === " ") select(stop);
    else return;
    consume(event);
  };
  return (
    <div
      ref={root}
      class="vaw-compare-maps"
      role="listbox"
      aria-label={`maps of ${of}; Enter selects one`}
      tabIndex={-1}
      data-testid="compare-maps"
      style={{ gridTemplateColumns: `repeat(${cols}, minmax(0, 190px))` }}
      onKeyDown={onKey}
      onPointerOver={(event) => {
        point(itemOf(event) ?? focused.current);
      }}
      onPointerLeave={() => {
        point(focused.current);
      }}
      onFocusIn={(event) => {
        focused.current = itemOf(event);
        point(focused.current);
        if (focused.current !== null) cursor.value = focused.current;
      }}
      onFocusOut={() => {
        focused.current = null;
        point(null);
      }}
      onClick={(event) => {
        const item = itemOf(event);
        if (item === null) return;
        cursor.value = item;
        select(item);
      }}
    >
      {keys.map((key, item) => (
        <Tile key={`${of} ${key}`} {...props} item={item} stop={item === stop} />
      ))}
    </div>
  );
}
