// The picture as a grid of patches: hover reads, click selects, drag and arrows walk.

import { useCallback, useRef } from "preact/hooks";
import { patchAt } from "../draw/area";
import type { Heatmap } from "../draw/heatmap";
import type { ModelInfo } from "../protocol/schema";
import { pictureOf } from "../state/pictures";
import type { Store } from "../state/store";
import { classToken } from "../state/words";
import { Canvas } from "./canvas";
import { consume } from "./keys";
import { paintPicture } from "./patch_paint";
import { moved } from "./roving";

/** Token of the patch under the pointer. */
function tokenAt(event: PointerEvent | MouseEvent, info: ModelInfo, element: HTMLElement): number {
  const box = element.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width;
  const y = (event.clientY - box.top) / box.height;
  const { row, col } = patchAt(info, x, y);
  return info.prefix.length + row * info.cols + col;
}

/** Pixels that a finger moves before it walks: until then it may begin to scroll. */
const SLOP = 10;

interface Props {
  store: Store;
  info: ModelInfo;
  /** The map that lies on the picture; a function that stays the same. */
  map: (store: Store) => Heatmap | null;
  /** What is painted on the picture itself, below the map; a function that stays the same. */
  tint?: (context: CanvasRenderingContext2D, width: number, height: number) => void;
  /** What the picture shows, for those who do not see it. */
  label: string;
  testid?: string;
}

export function PatchPicture(props: Props) {
  const { store, info, map, tint, label, testid = "patch-canvas" } = props;
  const picture = pictureOf(store);
  const dragging = useRef(false);
  /** Where a finger was put down. */
  const from = useRef(0);
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      if (tint && picture.value) context.drawImage(picture.value, 0, 0, width, height);
      tint?.(context, width, height);
      const below = tint ? null : picture.value;
      paintPicture(context, width, height, store, info, below, map(store));
    },
    [store, info, picture, map, tint],
  );
  const { selected_token, overlay } = store.traits;
  const select = (token: number) => {
    const shown = token === selected_token.peek() && overlay.peek() === "attention";
    if (!shown) store.set({ selected_token: token, overlay: "attention" });
  };
  const backToClassToken = () => {
    store.hovered.value = null;
    const token = classToken(info);
    if (token !== null) select(token);
  };
  const canvasOf = (event: Event) =>
    (event.currentTarget as HTMLElement).querySelector("canvas") as HTMLElement;
  const onKey = (event: KeyboardEvent) => {
    const patch = Math.max(0, selected_token.peek() - info.prefix.length);
    const place = { row: Math.floor(patch / info.cols), col: patch % info.cols };
    const to = moved(event.key, place, info.rows, info.cols);
    if (to) {
      store.hovered.value = null;
      select(info.prefix.length + to.row * info.cols + to.col);
    } else if (event.key === "Escape") {
      backToClassToken();
    } else if (event.key === " " || event.key === "Enter") {
      if (store.hovered.peek() !== null) select(store.hovered.peek() ?? 0);
    } else return;
    consume(event);
  };
  return (
    <div
      class="vaw-picture"
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows walk over its patches
      tabIndex={0}
      aria-label={`${label}; arrows walk over the patches`}
      onPointerMove={(event) => {
        const token = tokenAt(event, info, canvasOf(event));
        store.hovered.value = token;
        const across =
          event.pointerType !== "touch" || Math.abs(event.clientX - from.current) > SLOP;
        if (dragging.current && across) select(token);
      }}
      onPointerDown={(event) => {
        dragging.current = true;
        from.current = event.clientX;
        canvasOf(event).setPointerCapture?.(event.pointerId);
        // A finger may begin to scroll: it selects once it moves across, or is lifted.
        if (event.pointerType !== "touch") select(tokenAt(event, info, canvasOf(event)));
      }}
      onPointerUp={(event) => {
        if (dragging.current) select(tokenAt(event, info, canvasOf(event)));
        dragging.current = false;
      }}
      onPointerCancel={() => {
        dragging.current = false;
        store.hovered.value = null;
      }}
      onPointerLeave={() => {
        dragging.current = false;
        store.hovered.value = null;
      }}
      onDblClick={backToClassToken}
      onKeyDown={onKey}
    >
      <Canvas
        aspect={info.image_height / info.image_width}
        paint={paint}
        label={`${info.image_name}: ${label}`}
        testid={testid}
      />
    </div>
  );
}
