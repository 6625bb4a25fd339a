// The map of patterns: hover reads, click selects, drag draws a lasso, Ctrl and wheel or two fingers
// zoom.

import { type Signal, useSignal } from "@preact/signals";
import { useCallback, useMemo } from "preact/hooks";
import type { Head } from "../../protocol/schema";
import { placeAmong } from "../../state/heads";
import {
  clusterPlaces,
  type Here,
  inside,
  nearestPoint,
  type PatternMap,
  pointsOf,
} from "../../state/patterns";
import type { Store } from "../../state/store";
import { Canvas } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";
import { useZoom, useZoomGestures, type Zoom } from "../../ui/use_zoom";
import { type ZoomStep, zoomedByKey } from "../../ui/zoom_buttons";
import { paintScatter } from "./pattern_scatter_paint";
import { ScatterTools } from "./scatter_tools";

interface Props {
  store: Store;
  map: PatternMap;
  here: Here | null;
  /** All heads in the order of the map. */
  heads: readonly Head[];
  layers: number;
  names: readonly string[];
  /** The cluster of the head that is looked at, or -1. */
  cluster: number;
  /** The cluster that is pointed at beside the map, or -1. */
  pointed: number;
  /** A point of the map under the pointer, -1 for none. */
  onPoint: (point: number) => void;
  onLasso: (points: number[]) => void;
}

const ASPECT = 0.8;

export function PatternScatter(props: Props) {
  const { store, map, here, heads, onPoint, onLasso } = props;
  const zoom = useZoom();
  const lasso = useSignal<number[]>([]);
  const paint = useScatterPaint(props, zoom, lasso);

  const headNear = (x: number, y: number): Head | null =>
    here ? (heads[nearestPoint(here.points, x, y, zoom.reach())] ?? null) : null;
  const onMove = (event: PointerEvent) => {
    const [x, y] = zoom.placeOf(event);
    if (event.buttons === 1) {
      if (lasso.peek().length > 0) lasso.value = [...lasso.peek(), x, y];
      return;
    }
    const head = headNear(x, y);
    store.hoveredHead.value = head;
    onPoint(head ? -1 : nearestPoint(map.points, x, y, zoom.reach() / 2));
  };
  const onUp = (event: PointerEvent) => {
    const polygon = lasso.peek();
    lasso.value = [];
    if (polygon.length > 10) {
      store.brush.heads.value = here
        ? inside(here.points, polygon).map((i) => heads[i] as Head)
        : [];
      onLasso(inside(map.points, polygon));
      return;
    }
    const head = headNear(...zoom.placeOf(event));
    if (head) store.set({ selected_layer: head[0], selected_head: head[1] });
    else {
      store.brush.clear();
      onLasso([]);
    }
  };
  const scatter = useZoomGestures(zoom);
  const walk = headWalk(store, heads);
  /** Around the head that is looked at. */
  const step = (direction: ZoomStep) => {
    const shown = placeAmong(heads, store.shownHead.peek());
    const placed = direction > 0 && here && shown >= 0;
    const [x, y] = placed ? [here.points[2 * shown], here.points[2 * shown + 1]] : [];
    zoom.step(direction, x, y);
  };
  return (
    <div class="vaw-stack">
      <div
        ref={scatter}
        class="vaw-scatter"
        {...walk}
        onKeyDown={(event) => {
          if (!zoomedByKey(event, step)) walk.onKeyDown(event);
        }}
        onPointerDown={(event) => {
          lasso.value = []; // a second finger ends the first one's
          if (event.button !== 0 || event.isPrimary === false) return;
          (event.currentTarget as HTMLElement).setPointerCapture?.(event.pointerId);
          lasso.value = zoom.placeOf(event);
        }}
        onPointerMove={onMove}
        onPointerUp={onUp}
        onPointerCancel={() => {
          lasso.value = [];
        }}
        onPointerLeave={() => {
          store.hoveredHead.value = null;
          onPoint(-1);
        }}
        onDblClick={() => zoom.reset()}
      >
        <Canvas
          aspect={ASPECT}
          paint={paint}
          label={`map of attention patterns, ${map.labels.length} heads`}
          testid="pattern-map"
        />
      </div>
      <ScatterTools zoom={zoom} step={step} layers={props.layers} />
    </div>
  );
}

/** The painter of the map; what it reads by signals repaints by itself. */
function useScatterPaint(props: Props, zoom: Zoom, lasso: Signal<number[]>) {
  const { store, map, here, heads, layers, names, cluster, pointed } = props;
  const places = useMemo(() => clusterPlaces(map, names.length), [map, names.length]);
  const litPoints = useMemo(
    () => (pointed >= 0 ? pointsOf(map, pointed) : new Float32Array()),
    [map, pointed],
  );
  const background = useMemo(() => ({ key: "", counts: new Float32Array() }), [map]);
  return useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      Object.assign(zoom.size, { width, height });
      paintScatter(context, width, height, {
        view: zoom.view.value,
        points: map.points,
        background,
        litPoints,
        heads,
        layers,
        herePoints: here?.points ?? null,
        shown: here ? placeAmong(heads, store.shownHead.value) : -1,
        pruned: store.pruned.value,
        brushed: store.brush,
        places,
        names,
        cluster: pointed >= 0 ? pointed : cluster,
        lasso: lasso.value,
      });
    },
    [
      map,
      here,
      heads,
      layers,
      names,
      cluster,
      pointed,
      litPoints,
      places,
      store,
      background,
      zoom,
      lasso,
    ],
  );
}
