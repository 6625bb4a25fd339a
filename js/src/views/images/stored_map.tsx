// Images of a folder on a canvas: drag pans, Ctrl and wheel zoom, hover looks at one, click opens it.

import type { Signal } from "@preact/signals";
import { useCallback, useMemo, useRef } from "preact/hooks";
import type { StoredInfo } from "../../protocol/schema";
import { COLOURS } from "../../state/overview";
import type { Store } from "../../state/store";
import { type Cloud, cloudOf, nearestIn, type StoredPointsData } from "../../state/stored";
import { Canvas, useWidth } from "../../ui/canvas";
import { consume, modified } from "../../ui/keys";
import { useZoom, type Zoom } from "../../ui/use_zoom";
import { type Painted, paintCloud } from "./stored_paint";
import { useCloser } from "./use_closer";
import { usePictures } from "./use_pictures";

const WIDEST = 640;
const ASPECT = 0.72;
const MOST_ZOOM = 400;
/** A press that moves less is a click, in pixels. */
const STEADY = 4;

interface Props {
  store: Store;
  stored: StoredInfo;
  points: StoredPointsData;
  /** Classes that have a colour, in its order. */
  coloured: readonly number[];
  lit: Signal<number>;
}

/** Which colour each point has. */
function slotsOf({ classes }: Cloud, coloured: readonly number[]): Uint8Array {
  const slots = new Map(coloured.map((index, slot) => [index, slot]));
  return Uint8Array.from(classes, (index) => slots.get(index) ?? COLOURS);
}

export function StoredMap({ store, stored, points, coloured, lit }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(480);
  const width = Math.min(available, WIDEST);
  const zoom = useZoom(MOST_ZOOM);
  const whole = useMemo(() => cloudOf(points, 1 / ASPECT), [points]) as Cloud;
  const cloud = useCloser(store, whole, zoom, 1 / ASPECT);
  const slots = useMemo(() => slotsOf(cloud, coloured), [cloud, coloured]);
  const painted = useRef<Painted>({ shown: [], size: 2 });
  const pictures = usePictures(store, stored.has_files, cloud, zoom, () => {
    const { shown } = painted.current;
    return shown.map((point) => cloud.images[point] as number);
  });
  const open = store.traits.selected_image;
  const paint = useCallback(
    (context: CanvasRenderingContext2D, w: number, h: number) => {
      Object.assign(zoom.size, { width: w, height: h });
      painted.current = paintCloud(context, w, h, {
        cloud,
        view: zoom.view.value,
        slots,
        only: stored.of_class,
        open: open.value,
        lit: lit.value,
        pictures: pictures.value,
      });
    },
    [cloud, slots, zoom, stored.of_class, open, lit, pictures],
  );
  const pointer = useMapPointer(zoom, (x, y) => {
    const point = nearestIn(cloud, x, y, zoom.reach());
    return point < 0 ? -1 : (cloud.images[point] as number);
  });
  const choose = (image: number) => {
    if (image >= 0 && stored.has_files) store.set({ selected_image: image });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (modified(event) || !moved(zoom, event.key)) {
      if (event.key === "Enter") choose(lit.peek());
      else if (event.key === "Escape") lit.value = -1;
      else return;
    } else lit.value = pointer.imageAt(zoom.view.peek().x, zoom.view.peek().y);
    consume(event);
  };
  return (
    <div ref={ref}>
      <div
        class={`vaw-images-map vaw-stored-map${zoom.view.value.zoom > 1 ? " vaw-zoomed" : ""}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys move the map
        tabIndex={0}
        role="application"
        aria-label={`${stored.read} images; arrows move the map, plus and minus zoom, Enter opens the image in the middle`}
        data-testid="stored-map"
        onPointerDown={pointer.down}
        onPointerMove={(event) => {
          const image = pointer.move(event);
          if (image !== null) lit.value = image;
        }}
        onPointerUp={(event) => {
          if (pointer.up(event)) choose(lit.peek());
        }}
        onPointerCancel={pointer.cancel}
        onPointerLeave={() => {
          lit.value = -1;
        }}
        onDblClick={() => zoom.reset()}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls
          event.preventDefault();
          zoom.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, ...zoom.placeOf(event));
        }}
        onKeyDown={onKeyDown}
      >
        <Canvas
          aspect={ASPECT}
          maxWidth={width}
          paint={paint}
          label={`${stored.read} images`}
          testid="stored-canvas"
        />
      </div>
      <MapTools zoom={zoom} />
    </div>
  );
}

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [60, 0],
  ArrowRight: [-60, 0],
  ArrowUp: [0, 60],
  ArrowDown: [0, -60],
};

/** Whether a key moves the map. */
function moved(zoom: Zoom, key: string): boolean {
  const arrow = ARROWS[key];
  if (arrow) zoom.panBy(...arrow);
  else if (key === "+" || key === "=") zoom.zoomBy(1.5);
  else if (key === "-") zoom.zoomBy(1 / 1.5);
  else if (key === "Home") zoom.reset();
  else return false;
  return true;
}

/** Presses that pan, and those that are clicks. */
function useMapPointer(zoom: Zoom, imageAt: (x: number, y: number) => number) {
  const from = useRef<{ x: number; y: number; far: boolean } | null>(null);
  return {
    imageAt,
    down(event: PointerEvent) {
      if (event.button !== 0) return;
      (event.currentTarget as HTMLElement).setPointerCapture?.(event.pointerId);
      from.current = { x: event.clientX, y: event.clientY, far: false };
    },
    /** The image under the pointer; null while it pans. */
    move(event: PointerEvent): number | null {
      const start = from.current;
      if (!start || event.buttons !== 1) return imageAt(...zoom.placeOf(event));
      const [right, down] = [event.clientX - start.x, event.clientY - start.y];
      if (!start.far && Math.hypot(right, down) < STEADY) return null;
      from.current = { x: event.clientX, y: event.clientY, far: true };
      zoom.panBy(right, down);
      return null;
    },
    /** Whether it was a click. */
    up(event: PointerEvent): boolean {
      const clicked = from.current !== null && !from.current.far && event.button === 0;
      from.current = null;
      return clicked;
    },
    cancel() {
      from.current = null;
    },
  };
}

function MapTools({ zoom }: { zoom: Zoom }) {
  const { zoom: by, x, y } = zoom.view.value;
  return (
    <div class="vaw-row vaw-stored-tools">
      <span class="vaw-tools">
        <button type="button" aria-label="smaller" onClick={() => zoom.zoomBy(0.5)}>
          −
        </button>
        <button
          type="button"
          aria-label="larger"
          data-testid="stored-zoom-in"
          onClick={() => zoom.zoomBy(2)}
        >
          +
        </button>
        <button
          type="button"
          disabled={by === 1 && x === 0 && y === 0}
          data-testid="stored-whole"
          onClick={() => zoom.reset()}
        >
          whole map
        </button>
      </span>
      <span class="vaw-muted">drag to move, Ctrl and wheel to zoom</span>
    </div>
  );
}
