// The map of patterns: hover reads, click selects, drag draws a lasso, Ctrl and wheel zoom.

import { useSignal } from "@preact/signals";
import { useCallback, useMemo } from "preact/hooks";
import { themeOf } from "../../draw/theme";
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
import {
  density,
  layerColour,
  paintDensity,
  projection,
  WHOLE,
  type Window,
} from "./pattern_paint";

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
const REACH = 14;
const MOST_ZOOM = 16;
const GRAIN = 2;

export function PatternScatter(props: Props) {
  const { store, map, here, heads, layers, names, cluster, pointed, onPoint, onLasso } = props;
  const window_ = useSignal<Window>(WHOLE);
  const lasso = useSignal<number[]>([]);
  const size = useMemo(() => ({ width: 1, height: 1 }), []);
  const places = useMemo(() => clusterPlaces(map, names.length), [map, names.length]);
  const lit = useMemo(
    () => (pointed >= 0 ? pointsOf(map, pointed) : new Float32Array()),
    [map, pointed],
  );
  const background = useMemo(() => ({ key: "", counts: new Float32Array() }), [map]);

  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      Object.assign(size, { width, height });
      const view = window_.value;
      const [w, h] = [Math.ceil(width / GRAIN), Math.ceil(height / GRAIN)];
      const key = `${w} ${h} ${view.x} ${view.y} ${view.zoom}`;
      if (background.key !== key) {
        Object.assign(background, { key, counts: density(map.points, view, w, h) });
      }
      const to = projection(view, width, height);
      const theme = themeOf(context.canvas);
      const [foreground, paper] = [theme("fg"), theme("bg")];
      paintDensity(context, background.counts, w, h, GRAIN, theme("muted"));
      if (lit.length > 0) {
        const counts = density(lit, view, w, h);
        paintDensity(context, counts, w, h, GRAIN, theme("hurts"));
      }
      const pruned = store.pruned.value;
      const dot = (index: number, lit: boolean) => {
        const [layer, head] = heads[index] as Head;
        context.beginPath();
        const [x, y] = [here?.points[2 * index] ?? 0, here?.points[2 * index + 1] ?? 0];
        context.arc(to.x(x), to.y(y), lit ? 7 : 4.5, 0, 2 * Math.PI);
        context.fillStyle = pruned.has(layer, head) ? paper : layerColour(layer, layers);
        context.fill();
        context.lineWidth = lit ? 2.5 : store.brush.has(layer, head) ? 2 : 1;
        context.strokeStyle = lit || store.brush.has(layer, head) ? foreground : paper;
        context.stroke();
      };
      if (here) {
        const at = placeAmong(heads, store.shownHead.value);
        for (let i = 0; i < heads.length; i++) if (i !== at) dot(i, false);
        if (at >= 0) dot(at, true);
      }
      label(context, foreground, paper, to, places, names, pointed >= 0 ? pointed : cluster);
      outline(context, lasso.value, foreground, to);
    },
    [
      map,
      here,
      heads,
      layers,
      names,
      cluster,
      pointed,
      lit,
      places,
      store,
      background,
      size,
      window_,
      lasso,
    ],
  );

  const placeOf = (event: PointerEvent | MouseEvent | WheelEvent): [number, number] => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const to = projection(window_.peek(), size.width, size.height);
    return [to.mapX(event.clientX - box.left), to.mapY(event.clientY - box.top)];
  };
  const reach = () => REACH / projection(window_.peek(), size.width, size.height).scale;
  const headAt = (x: number, y: number): Head | null =>
    here ? (heads[nearestPoint(here.points, x, y, reach())] ?? null) : null;
  const zoomTo = (zoom: number, x = window_.peek().x, y = window_.peek().y) => {
    const now = window_.peek();
    const next = Math.max(1, Math.min(MOST_ZOOM, zoom));
    const share = now.zoom / next; // what is under the pointer stays there
    window_.value =
      next === 1 ? WHOLE : { x: x + (now.x - x) * share, y: y + (now.y - y) * share, zoom: next };
  };
  const onMove = (event: PointerEvent) => {
    const [x, y] = placeOf(event);
    if (event.buttons === 1) {
      lasso.value = [...lasso.peek(), x, y];
      return;
    }
    const head = headAt(x, y);
    store.hoveredHead.value = head;
    onPoint(head ? -1 : nearestPoint(map.points, x, y, reach() / 2));
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
    const head = headAt(...placeOf(event));
    if (head) store.set({ selected_layer: head[0], selected_head: head[1] });
    else {
      store.brush.clear();
      onLasso([]);
    }
  };
  return (
    <div class="vaw-stack">
      <div
        class="vaw-scatter"
        {...headWalk(store, heads)}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          (event.currentTarget as HTMLElement).setPointerCapture?.(event.pointerId);
          lasso.value = placeOf(event);
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
        onDblClick={() => zoomTo(1)}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls
          event.preventDefault();
          zoomTo(window_.peek().zoom * (event.deltaY < 0 ? 1.25 : 0.8), ...placeOf(event));
        }}
      >
        <Canvas
          aspect={ASPECT}
          paint={paint}
          label={`map of attention patterns, ${map.labels.length} heads`}
          testid="pattern-map"
        />
      </div>
      <div class="vaw-row">
        <span class="vaw-tools">
          <button type="button" aria-label="smaller" onClick={() => zoomTo(window_.value.zoom / 2)}>
            −
          </button>
          <button
            type="button"
            aria-label="larger"
            data-testid="pattern-zoom-in"
            onClick={() => {
              const at = placeAmong(heads, store.shownHead.peek());
              const known = here && at >= 0; // towards the head that is looked at
              const [x, y] = known ? [here.points[2 * at], here.points[2 * at + 1]] : [];
              zoomTo(window_.value.zoom * 2, x, y);
            }}
          >
            +
          </button>
        </span>
        <LayerLegend layers={layers} />
        <span class="vaw-muted">grey: all images</span>
      </div>
    </div>
  );
}

function LayerLegend({ layers }: { layers: number }) {
  const stops = Array.from({ length: 9 }, (_, i) => layerColour((i / 8) * (layers - 1), layers));
  return (
    <span class="vaw-colorbar">
      <span class="vaw-muted">layer 0</span>
      <span
        class="vaw-colorbar-strip"
        style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }}
      />
      <span class="vaw-muted">{layers - 1}</span>
    </span>
  );
}

type Projection = ReturnType<typeof projection>;

function label(
  context: CanvasRenderingContext2D,
  foreground: string,
  paper: string,
  to: Projection,
  places: readonly (readonly [number, number])[],
  names: readonly string[],
  cluster: number,
): void {
  context.textAlign = "center";
  context.lineJoin = "round";
  const taken: [number, number, number][] = [];
  for (const [index, [x, y]] of places.entries()) {
    const lit = index === cluster;
    context.font = `${lit ? 600 : 400} 12px system-ui, sans-serif`;
    const name = names[index] ?? "";
    const half = context.measureText(name).width / 2;
    const left = to.x(x);
    let top = to.y(y);
    // the largest clusters come first: a name that would hide another moves down
    while (taken.some(([a, b, c]) => Math.abs(a - left) < half + c && Math.abs(b - top) < 14)) {
      top += 14;
    }
    taken.push([left, top, half]);
    context.lineWidth = 4;
    context.strokeStyle = paper;
    context.globalAlpha = 0.85;
    context.strokeText(name, left, top);
    context.globalAlpha = 1;
    context.fillStyle = foreground;
    context.fillText(name, left, top);
  }
}

function outline(
  context: CanvasRenderingContext2D,
  polygon: readonly number[],
  colour: string,
  to: Projection,
): void {
  if (polygon.length < 4) return;
  context.beginPath();
  for (let i = 0; i < polygon.length; i += 2) {
    context.lineTo(to.x(polygon[i] ?? 0), to.y(polygon[i + 1] ?? 0));
  }
  context.closePath();
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.stroke();
}
