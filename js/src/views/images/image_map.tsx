// The images of the set on a canvas: hover and arrows look at one, click and Enter open it.

import type { Signal } from "@preact/signals";
import { useCallback, useMemo } from "preact/hooks";
import type { ModelInfo, Overview } from "../../protocol/schema";
import { imageName, isWrong, verdict } from "../../state/overview";
import type { Store } from "../../state/store";
import { Canvas, useWidth } from "../../ui/canvas";
import { consume, modified } from "../../ui/keys";
import { type Atlas, paintImages } from "./image_paint";
import { apart, fitted, inOrder, nearest, type Place, walk } from "./image_places";
import { type Standing, useMoving } from "./use_moving";

const WIDEST = 640;
const LARGEST = 56;

/** Where the images stand, and how large they are. */
export function standing(
  points: readonly Place[],
  total: number,
  width: number,
  height: number,
  drawn: boolean,
): Standing {
  const box = { width, height };
  if (points.length !== total) {
    const { places, cell } = inOrder(total, box);
    return { places, size: drawn ? Math.min(LARGEST, 0.86 * cell) : dotSize(total, box), of: "" };
  }
  const usual = 0.5 * Math.sqrt((width * height) / total);
  const size = drawn ? Math.max(12, Math.min(44, usual)) : dotSize(total, box);
  const places = fitted(points, box, size * 0.8);
  return { places: drawn ? apart(places, size + 2, box) : places, size, of: points };
}

function dotSize(total: number, { width, height }: { width: number; height: number }): number {
  return Math.max(5, Math.min(12, 0.34 * Math.sqrt((width * height) / total)));
}

interface Props {
  store: Store;
  info: ModelInfo;
  overview: Overview;
  atlas: Atlas | null;
  colors: readonly number[];
  lit: Signal<number | null>;
  only: Signal<number | null>;
}

export function ImageMap({ store, info, overview, atlas, colors, lit, only }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(480);
  const { total, points } = overview;
  const width = Math.min(available, WIDEST);
  const height = Math.round(width * (total <= 12 ? 0.5 : 0.72));
  const drawn = atlas !== null;
  const target = useMemo(
    () => standing(points, total, width, height, drawn),
    [points, total, width, height, drawn],
  );
  const moving = useMoving(target);
  const open = store.traits.selected_image;
  const paint = useCallback(
    (context: CanvasRenderingContext2D) => {
      const { places, size } = moving.value;
      paintImages(context, {
        places,
        size,
        atlas,
        colors,
        wrong: (image) => isWrong(overview, image),
        open: open.value,
        lit: lit.value,
        only: only.value,
      });
    },
    [moving, atlas, colors, overview, open, lit, only],
  );
  const under = (event: MouseEvent) => {
    const canvas = (event.currentTarget as HTMLElement).querySelector("canvas") as HTMLElement;
    const box = canvas.getBoundingClientRect();
    const reach = Math.max(16, target.size * 0.75);
    return nearest(target.places, event.clientX - box.left, event.clientY - box.top, reach);
  };
  const choose = (image: number | null) => {
    if (image !== null && image !== open.peek()) store.set({ selected_image: image });
  };
  const image = lit.value ?? Math.max(0, open.value);
  const onKeyDown = (event: KeyboardEvent) => {
    if (modified(event)) return;
    const to = walk(target.places, image, event.key);
    if (to !== null) lit.value = to;
    else if (event.key === "Enter") choose(lit.peek());
    else if (event.key === "Escape") lit.value = null;
    else return;
    consume(event);
  };
  return (
    <div
      ref={ref}
      class="vaw-images-map"
      role="slider"
      tabIndex={0}
      aria-label="images"
      aria-valuemin={0}
      aria-valuemax={total - 1}
      aria-valuenow={image}
      aria-valuetext={`${imageName(overview, image)}: ${verdict(info, overview, image)}`}
      data-testid="image-map"
      onPointerMove={(event) => {
        lit.value = under(event);
      }}
      onPointerLeave={() => {
        lit.value = null;
      }}
      onBlur={() => {
        lit.value = null;
      }}
      onClick={(event) => choose(under(event))}
      onKeyDown={onKeyDown}
    >
      <Canvas
        aspect={height / width}
        maxWidth={width}
        paint={paint}
        label={`${total} images`}
        testid="image-canvas"
      />
    </div>
  );
}
