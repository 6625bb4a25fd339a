// A matrix of one pixel an entry, enlarged by whole numbers; it scrolls when it is zoomed.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useWidth } from "../../ui/canvas";

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
    const at = (from: number, size: number) =>
      Math.max(0, Math.min(tokens - 1, Math.floor((from / size) * tokens)));
    return [at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)];
  };
  const zoomTo = (to: number) => {
    zoom.value = Math.max(1, Math.min(MOST_ZOOM, to));
  };
  return (
    <div ref={ref}>
      <div class="vaw-matrix" style={{ maxHeight: `${Math.min(available, WIDEST)}px` }}>
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
        <span class="vaw-muted">zoom</span>
        <button
          type="button"
          aria-label="zoom out"
          disabled={zoom.value <= 1}
          onClick={() => zoomTo(zoom.value / 2)}
        >
          −
        </button>
        <span>{zoom.value} ×</span>
        <button
          type="button"
          aria-label="zoom in"
          data-testid="matrix-zoom-in"
          disabled={zoom.value >= MOST_ZOOM}
          onClick={() => zoomTo(zoom.value * 2)}
        >
          +
        </button>
      </div>
    </div>
  );
}
