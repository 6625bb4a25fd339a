// The grid of heads as it stands: numbers along its edges, pictures, and the cells over them.

import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { useWidth } from "../../ui/canvas";
import { ZoomButtons, zoomedByKey } from "../../ui/zoom_buttons";
import { HeadCells } from "./head_cells";
import { isWritten, type Layout, SMALLEST_WITH_MARK } from "./head_grid_layout";
import { PruneTools } from "./head_tools";
import { HeadsCanvas } from "./heads_canvas";
import { useGridZoom } from "./use_grid_zoom";

/** Lowest view of enlarged pictures. */
const ROOM = 240;

export function HeadsStage({ store, info }: { store: Store; info: ModelInfo }) {
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const zoom = useGridZoom(store, info, ref, width);
  const { layout, inView, whole, most, step } = zoom;
  const zoomed = layout.width > whole.width;
  // What is chosen elsewhere comes into view; at first the grid stands as it was left.
  const stands = useRef(false);
  useSignalEffect(() => {
    const { selected_layer, selected_head } = store.traits;
    const [layer, head] = [selected_layer.value, Math.max(0, selected_head.value)];
    if (stands.current) zoom.reveal(layer, head);
    stands.current = true;
  });
  const onKeyDown = (event: KeyboardEvent) => {
    if (most > 1) zoomedByKey(event, step);
  };
  return (
    <>
      <div
        ref={ref}
        class={zoomed ? "vaw-heads vaw-zoomed" : "vaw-heads"}
        data-testid="heads-view"
        // What is below it stays where it is.
        style={zoomed ? { height: `${Math.max(ROOM, whole.height)}px` } : {}}
        onScroll={zoom.onScroll}
        onKeyDown={onKeyDown}
      >
        <div
          class="vaw-heads-stage"
          style={{ width: `${layout.width}px`, height: `${layout.height}px` }}
        >
          <HeadsCanvas store={store} info={info} layout={layout} inView={inView} />
          <Numbers info={info} layout={layout} />
          <HeadCells store={store} info={info} layout={layout} inView={inView} />
        </div>
      </div>
      <div class="vaw-heads-tools" onKeyDown={onKeyDown}>
        <PruneTools store={store} marks={layout.cellWidth >= SMALLEST_WITH_MARK} />
        {most > 1 && (
          <ZoomButtons
            name="heads"
            whole={zoom.zoom === 1}
            largest={zoom.zoom === most}
            step={step}
          />
        )}
      </div>
    </>
  );
}

/** Layers above, heads at the left; they stay in view while what is between them scrolls. */
function Numbers({ info, layout }: { info: ModelInfo; layout: Layout }) {
  const { left, top, cellWidth, cellHeight, thumbnail } = layout;
  return (
    <>
      <div class="vaw-heads-layers" aria-hidden="true" style={{ height: `${top}px` }}>
        <i class="vaw-heads-corner" style={{ height: `${top}px` }} />
        {info.num_heads.map(
          (_, layer) =>
            isWritten(layer, cellWidth) && (
              <span
                class="vaw-heads-layer"
                key={`column ${info.num_layers} ${layer}`}
                style={{ left: `${left + layer * cellWidth}px`, width: `${thumbnail.width}px` }}
              >
                {layer}
              </span>
            ),
        )}
      </div>
      <div class="vaw-heads-rows" aria-hidden="true" style={{ height: `${layout.height - top}px` }}>
        {Array.from({ length: Math.max(...info.num_heads) }, (_, head) => (
          <span
            class="vaw-heads-head"
            key={`row ${head}`}
            style={{ top: `${head * cellHeight}px`, height: `${thumbnail.height}px` }}
          >
            {head}
          </span>
        ))}
      </div>
    </>
  );
}
