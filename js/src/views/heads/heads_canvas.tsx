// The canvas below the grid of heads; it repaints while the pointer moves over the picture.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { sharp } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { type Layout, paintHeads } from "./head_grid_paint";

export function HeadsCanvas(props: { store: Store; info: ModelInfo; layout: Layout }) {
  const { store, info, layout } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(
    () =>
      effect(() => {
        const element = canvas.current;
        const context = element && sharp(element, layout.width, layout.height);
        if (!context) return;
        context.clearRect(0, 0, layout.width, layout.height);
        paintHeads(context, store, info, layout);
      }),
    [store, info, layout.width, layout.height],
  );
  return (
    <canvas
      ref={canvas}
      aria-hidden="true"
      data-testid="heads-canvas"
      style={{ width: `${layout.width}px`, height: `${layout.height}px` }}
    />
  );
}
