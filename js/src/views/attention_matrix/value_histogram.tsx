// How the values of a matrix spread, on a logarithmic axis, with a threshold that can be moved.

import { useMemo } from "preact/hooks";
import { BINS, histogramOf, type Matrix, placeOf, valueAt } from "../../state/matrix";
import { number } from "../../state/words";
import { BOTTOM, LEFT, RIGHT, TOP, XAxis } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";

const HEIGHT = 110;
const LABELS = ["0.00001", "0.0001", "0.001", "0.01", "0.1", "1"];

interface Props {
  matrix: Matrix;
  threshold: number;
  /** Null goes back to the usual one. */
  onThreshold: (value: number | null) => void;
}

export function ValueHistogram({ matrix, threshold, onThreshold }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>(280);
  const counts = useMemo(() => histogramOf(matrix), [matrix]);
  const most = Math.log1p(Math.max(...counts, 1));
  const x = (place: number) => LEFT + place * (width - LEFT - RIGHT);
  const y = (count: number) =>
    HEIGHT - BOTTOM - (Math.log1p(count) / most) * (HEIGHT - BOTTOM - TOP);
  return (
    <div ref={ref} class="vaw-chart">
      <svg width={width} height={HEIGHT} role="img" aria-label="how the values spread">
        {counts.map((count, bin) => (
          <rect
            key={`bin ${bin / BINS}`}
            x={x(bin / BINS) + 0.5}
            width={Math.max(1, x(1 / BINS) - x(0) - 1)}
            y={y(count)}
            height={HEIGHT - BOTTOM - y(count)}
            fill={(bin + 1) / BINS > placeOf(threshold) ? "var(--vaw-accent)" : "var(--vaw-muted)"}
          >
            <title>{`${count} values`}</title>
          </rect>
        ))}
        <XAxis
          labels={LABELS.map((label) => [x(placeOf(Number(label))), label])}
          title="attention (both axes logarithmic)"
          width={width}
          height={HEIGHT}
        />
      </svg>
      <div class="vaw-field vaw-threshold" style={{ paddingLeft: `${LEFT}px` }}>
        <input
          type="range"
          min={0}
          max={1}
          step={0.002}
          value={placeOf(threshold)}
          aria-label="threshold of the links"
          aria-valuetext={number(threshold)}
          data-testid="threshold"
          onInput={(event) => onThreshold(valueAt(Number(event.currentTarget.value)))}
        />
        <button
          type="button"
          data-tip="links of the strongest 1 % of all values"
          onClick={() => onThreshold(null)}
        >
          top 1 %
        </button>
      </div>
    </div>
  );
}
