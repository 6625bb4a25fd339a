// A matrix of one pixel an entry, enlarged; it scrolls when it is zoomed.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useWidth } from "../../ui/canvas";
import { ZoomButtons, type ZoomStep, zoomedByKey } from "../../ui/zoom_buttons";
import { zoomGestures } from "../../ui/zoom_gestures";

interface Props {
  tokens: number;
  paint: (pixels: ImageData) => void;
  /** The row that is marked. */
  query: number;
  label: string;
  onPoint: (place: readonly [query: number, key: number] | null) => void;
  onChoose: (place: readonly [query: number, key: number]) => void;
}

const MOST_ZOOM = 8;
const WIDEST = 460;

export function MatrixCanvas({ tokens, paint, query, label, onPoint, onChoose }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const zoom = useSignal(1);
  const side = Math.min(available, WIDEST) * zoom.value;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const pixels = new ImageData(tokens, tokens);
    paint(pixels);
    context.putImageData(pixels, 0, 0);
  }, [tokens, paint]);
  const placeOf = (event: PointerEvent | MouseEvent): readonly [number, number] => {
    const box = (canvas.current as HTMLCanvasElement).getBoundingClientRect();
    const tokenAt = (from: number, size: number) =>
      Math.max(0, Math.min(tokens - 1, Math.floor((from / size) * tokens)));
    return [
      tokenAt(event.clientY - box.top, box.height),
      tokenAt(event.clientX - box.left, box.width),
    ];
  };
  const { scroller, zoomBy } = useScroll(zoom);
  const step = (direction: ZoomStep) => zoomBy(direction && 2 ** direction);
  return (
    <div ref={ref} onKeyDown={(event) => void zoomedByKey(event, step)}>
      <div
        ref={scroller}
        class="vaw-matrix"
        style={{ maxHeight: `${Math.min(available, WIDEST)}px` }}
      >
        <div style={{ position: "relative", width: `${side}px`, height: `${side}px` }}>
          <canvas
            ref={canvas}
            width={tokens}
            height={tokens}
            role="img"
            aria-label={label}
            data-testid="matrix"
            style={{ width: `${side}px`, height: `${side}px` }}
            onPointerMove={(event) => onPoint(placeOf(event))}
            onPointerLeave={() => onPoint(null)}
            onClick={(event) => onChoose(placeOf(event))}
          />
          <i
            class="vaw-matrix-row"
            style={{
              top: `${(query / tokens) * side}px`,
              height: `${Math.max(2, side / tokens)}px`,
            }}
          />
        </div>
      </div>
      <div class="vaw-row">
        <ZoomButtons
          name="matrix"
          whole={zoom.value === 1}
          largest={zoom.value === MOST_ZOOM}
          step={step}
        />
        <span class="vaw-muted">{Math.round(10 * zoom.value) / 10} ×</span>
      </div>
    </div>
  );
}

/** Zooms what scrolls, so that a place of it stays where it is seen; by 0 all of it is shown. */
function useScroll(zoom: Signal<number>) {
  const scroller = useRef<HTMLDivElement>(null);
  const next = useRef({ left: 0, top: 0 });
  const zoomBy = (factor: number, x?: number, y?: number) => {
    const element = scroller.current;
    if (!element) return;
    const to = Math.max(1, Math.min(MOST_ZOOM, zoom.peek() * factor));
    const by = to / zoom.peek();
    const kept = (scrolled: number, seen: number) => (scrolled + seen) * by - seen;
    next.current = {
      left: kept(element.scrollLeft, x ?? element.clientWidth / 2),
      top: kept(element.scrollTop, y ?? element.clientHeight / 2),
    };
    zoom.value = to;
  };
  const latest = useRef(zoomBy);
  latest.current = zoomBy;
  useLayoutEffect(() => {
    if (scroller.current)
      Object.assign(scroller.current, {
        scrollLeft: next.current.left,
        scrollTop: next.current.top,
      });
  }, [zoom.value]);
  useEffect(() => {
    if (scroller.current) return zoomGestures(scroller.current, (...how) => latest.current(...how));
  }, []);
  return { scroller, zoomBy };
}
