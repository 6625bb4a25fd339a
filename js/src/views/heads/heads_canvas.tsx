// The canvas below the grid of heads, over those in view; it repaints while the pointer moves over the
// picture.

import { effect, type ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { sharp } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import type { HeadsInView, Layout } from "./head_grid_layout";
import { paintHeads } from "./head_grid_paint";

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
  inView: ReadonlySignal<HeadsInView>;
}

export function HeadsCanvas({ store, info, layout, inView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(
    () =>
      effect(() => {
        const element = canvas.current;
        if (!element) return;
        const { layers, heads } = inView.value;
        // From the edge of the grid where its first heads are in view.
        const x = layers[0] && layout.left + layers[0] * layout.cellWidth;
        const y = heads[0] && layout.top + heads[0] * layout.cellHeight;
        const width = layout.left + layers[1] * layout.cellWidth - x;
        const height = layout.top + heads[1] * layout.cellHeight - y;
        const context = sharp(element, width, height);
        Object.assign(element.style, {
          left: `${x}px`,
          top: `${y}px`,
          width: `${width}px`,
          height: `${height}px`,
        });
        if (!context) return;
        context.clearRect(0, 0, width, height);
        context.translate(-x, -y);
        paintHeads(context, store, info, layout, { layers, heads });
      }),
    [store, info, layout, inView],
  );
  return <canvas ref={canvas} aria-hidden="true" data-testid="heads-canvas" />;
}
