// Images of a folder on a canvas: drag pans, Ctrl and wheel or two fingers zoom, hover looks at one,
// click opens it.

import { type Signal, useSignal } from "@preact/signals";
import { useCallback, useId, useMemo, useRef } from "preact/hooks";
import type { StoredInfo } from "../../protocol/schema";
import { COLOURS } from "../../state/overview";
import type { Store } from "../../state/store";
import { type Cloud, cloudOf, nearestIn, type StoredPointsData } from "../../state/stored";
import { Canvas, useWidth } from "../../ui/canvas";
import { consume, modified } from "../../ui/keys";
import { isWhole, useZoom, useZoomGestures } from "../../ui/use_zoom";
import { ZoomButtons, type ZoomStep, zoomedByKey } from "../../ui/zoom_buttons";
import { mapSays, viewSays } from "./map_aloud";
import { type Painted, paintCloud } from "./stored_paint";
import { useCloser } from "./use_closer";
import { useMapPointer } from "./use_map_pointer";
import { usePictures } from "./use_pictures";

const WIDEST = 640;
const ASPECT = 0.72;
const MOST_ZOOM = 400;

interface Props {
  store: Store;
  stored: StoredInfo;
  points: StoredPointsData;
  /** Classes that have a color, in its order. */
  colored: readonly number[];
  lit: Signal<number>;
}

/** Which color each point has. */
function slotsOf({ classes }: Cloud, colored: readonly number[]): Uint8Array {
  const slots = new Map(colored.map((index, slot) => [index, slot]));
  return Uint8Array.from(classes, (index) => slots.get(index) ?? COLOURS);
}

export function StoredMap({ store, stored, points, colored, lit }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(480);
  const width = Math.min(available, WIDEST);
  const zoom = useZoom(MOST_ZOOM);
  const how = useId();
  const aloud = useSignal("");
  const whole = useMemo(() => cloudOf(points, 1 / ASPECT), [points]) as Cloud;
  const cloud = useCloser(store, whole, zoom, 1 / ASPECT);
  const slots = useMemo(() => slotsOf(cloud, colored), [cloud, colored]);
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
  const imageAt = (x: number, y: number, reach = zoom.reach()) => {
    const point = nearestIn(cloud, x, y, reach);
    return point < 0 ? -1 : (cloud.images[point] as number);
  };
  const pointer = useMapPointer(zoom, imageAt);
  const map = useZoomGestures(zoom);
  const say = (image = -1) => {
    aloud.value = viewSays(store.info.peek(), cloud, zoom, image);
  };
  const step = (direction: ZoomStep) => {
    zoom.step(direction);
    say();
  };
  const toMiddle = () => {
    const { x, y } = zoom.view.peek();
    lit.value = imageAt(x, y, Number.POSITIVE_INFINITY);
    say(lit.peek());
  };
  const choose = (image: number) => {
    if (image >= 0 && stored.has_files) store.set({ selected_image: image });
  };
  const leave = () => {
    lit.value = -1;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (modified(event)) return;
    if (zoomedByKey(event, zoom.step)) return toMiddle();
    const arrow = ARROWS[event.key];
    if (arrow) {
      zoom.panBy(...arrow);
      toMiddle();
    } else if (event.key === "Enter") choose(lit.peek());
    else if (event.key === "Escape") lit.value = -1;
    else return;
    consume(event);
  };
  return (
    <div ref={ref}>
      <div
        ref={map}
        class={`vaw-images-map vaw-stored-map${zoom.view.value.zoom > 1 ? " vaw-zoomed" : ""}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys move the map
        tabIndex={0}
        role="application"
        aria-roledescription="map"
        aria-label={mapSays(stored, cloud)}
        aria-describedby={how}
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
        onPointerLeave={leave}
        onBlur={leave}
        onDblClick={() => zoom.reset()}
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
      <div class="vaw-row">
        <ZoomButtons
          name="stored"
          whole={isWhole(zoom.view.value)}
          largest={zoom.view.value.zoom === MOST_ZOOM}
          step={step}
        />
        <span class="vaw-muted" id={how}>
          drag or arrows move the map{stored.has_files && "; Enter opens what is in the middle"}
        </span>
      </div>
      <span class="vaw-aloud" role="status" data-testid="stored-aloud">
        {aloud.value}
      </span>
    </div>
  );
}

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [60, 0],
  ArrowRight: [-60, 0],
  ArrowUp: [0, 60],
  ArrowDown: [0, -60],
};
