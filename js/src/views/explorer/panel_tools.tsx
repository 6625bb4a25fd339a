// What stands beside the title of a panel: a handle that moves it, and a button that closes it.

import type { Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { consume } from "../../ui/keys";
import { placed } from "./arrangement";
import { edgeScroll } from "./edge_scroll";
import { type Drop, dropAt, firstPlace } from "./panel_drop";
import type { PanelEntry } from "./panels";

/** A panel that is being dragged, and where it would land. */
export interface Dragging {
  id: string;
  drop: Drop | null;
}

interface Props {
  panel: PanelEntry;
  panels: readonly string[];
  dragging: Signal<Dragging | null>;
  onMove: (panels: string[]) => void;
  onClose: () => void;
}

const STEPS: Record<string, number> = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };

export function PanelTools({ panel, panels, dragging, onMove, onClose }: Props) {
  const { id, title } = panel;
  return (
    <span class="vaw-panel-tools">
      <Handle {...{ panel, panels, dragging, onMove }} />
      <button
        type="button"
        data-testid={`close-${id}`}
        aria-label={`close ${title}`}
        data-tip="close"
        onClick={onClose}
      >
        ×
      </button>
    </span>
  );
}

function Handle({ panel, panels, dragging, onMove }: Omit<Props, "onClose">) {
  const { id, title } = panel;
  const scroll = useRef<ReturnType<typeof edgeScroll> | null>(null);
  const end = () => {
    scroll.current?.stop();
    scroll.current = null;
    dragging.value = null;
  };
  const viewsOf = (event: Event) =>
    (event.currentTarget as HTMLElement).closest<HTMLElement>(".vaw-columns");
  const onPointerDown = (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    const views = viewsOf(event);
    if (event.button !== 0 || !views) return;
    handle.setPointerCapture?.(event.pointerId);
    dragging.value = { id, drop: null };
    scroll.current = edgeScroll(views, (x, y) => {
      dragging.value = { id, drop: dropAt(views, panels, id, x, y) };
    });
  };
  const onPointerMove = (event: PointerEvent) => scroll.current?.to(event.clientX, event.clientY);
  const onPointerUp = () => {
    const drop = dragging.peek()?.drop;
    end();
    if (drop) onMove(drop.panels);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    const views = viewsOf(event);
    if (event.key === "Escape" && dragging.peek()) end();
    else if (step !== undefined && views) {
      const index = panels.indexOf(id) + step;
      const fits = index >= firstPlace(views, panels, id) && index < panels.length;
      if (fits) onMove(placed(panels, id, index));
    } else return;
    consume(event);
  };
  return (
    <button
      type="button"
      class="vaw-handle"
      data-testid={`move-${id}`}
      aria-label={`move ${title}, ${panels.indexOf(id) + 1} of ${panels.length}`}
      data-tip="drag to move; arrow keys move it too"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={end}
      onKeyDown={onKeyDown}
    >
      <svg width="8" height="14" aria-hidden="true">
        {[2, 7, 12].map((y) => (
          <g key={y}>
            <circle cx="1.5" cy={y} r="1.3" />
            <circle cx="6.5" cy={y} r="1.3" />
          </g>
        ))}
      </svg>
    </button>
  );
}
