// Heads along the depth of the model, as in Li et al. 2023 (x = 1 + H l + h, x = 0 the whole
// model), or from the most to the least important. Drag over a stretch to choose its heads.

import type { Head, ModelInfo } from "../../protocol/schema";
import { headKey, headsInOrder, isHead } from "../../state/heads";
import { type Importance, importanceAt, weightOf } from "../../state/results";
import type { Store } from "../../state/store";
import { outputName } from "../../state/words";
import { BOTTOM, LevelLine, TITLE, TOP, XAxis, YAxis, YTitle } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";
import { type Band, chartGeometry, type Geometry, HEIGHT } from "./head_chart_geometry";
import { useChartPointer } from "./use_chart_pointer";

/** All heads, along the depth or by importance (the pruned and unknown ones last). */
export function order(info: ModelInfo, importance: Importance | null, ranked: boolean): Head[] {
  const heads = headsInOrder(info.num_heads);
  if (!ranked) return heads;
  const value = ([l, h]: Head) => {
    const importanceHere = importanceAt(importance, l, h);
    return importance && Number.isFinite(importanceHere)
      ? weightOf(importance, importanceHere)
      : Number.NEGATIVE_INFINITY;
  };
  return heads
    .map((head) => [value(head), head] as const)
    .sort((a, b) => b[0] - a[0])
    .map(([, head]) => head);
}

export function HeadChart({ store, info }: { store: Store; info: ModelInfo }) {
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const importance = store.importance.value;
  const ranked = store.headView.value === "ranked";
  const heads = order(info, importance, ranked);
  const geometry = chartGeometry(info, heads, importance, ranked, width);
  const pointer = useChartPointer(store, heads, width);
  const layers = geometry.bands.map(({ middle }, layer) => [middle, `${layer}`] as const);
  return (
    <div ref={ref} class="vaw-chart" {...headWalk(store, heads)}>
      <svg width={width} height={HEIGHT} aria-hidden="true" data-testid="head-chart" {...pointer}>
        {!ranked && <LayerBands bands={geometry.bands} />}
        <YAxis y={geometry.y} width={width} />
        <XAxis
          labels={ranked ? [] : layers}
          title={ranked ? "heads, the most important first" : "layer (heads side by side)"}
          width={width}
          height={HEIGHT}
        />
        <YTitle>
          {importance?.metric === "probability" && !ranked
            ? `${outputName(info)} without the head`
            : "importance"}
        </YTitle>
        {!ranked && <DepthLine geometry={geometry} width={width} />}
        {heads.map((head, i) => (
          <HeadMark
            key={headKey(...head)}
            store={store}
            head={head}
            index={i}
            geometry={geometry}
            ranked={ranked}
          />
        ))}
      </svg>
    </div>
  );
}

/** Every other layer on a ground of its own. */
function LayerBands({ bands }: { bands: readonly Band[] }) {
  return (
    <>
      {bands.map(({ left, right }, layer) => (
        <g key={`layer ${bands.length} ${layer}`}>
          {layer % 2 === 0 && (
            <rect
              x={left}
              y={TOP + TITLE}
              width={right - left}
              height={HEIGHT - BOTTOM - TOP - TITLE}
              fill="var(--vaw-panel)"
            />
          )}
        </g>
      ))}
    </>
  );
}

/** The whole model's value, and the line from head to head. */
function DepthLine({ geometry, width }: { geometry: Geometry; width: number }) {
  const whole = geometry.y.at(geometry.start);
  return (
    <>
      <LevelLine y={whole} width={width} stroke="var(--vaw-muted)" stroke-dasharray="2 3" />
      <polyline points={geometry.line} fill="none" stroke="var(--vaw-muted)" stroke-width="1" />
    </>
  );
}

interface MarkProps {
  store: Store;
  head: Head;
  index: number;
  geometry: Geometry;
  ranked: boolean;
}

/** One head: a bar where heads are ranked, else a dot. */
function HeadMark({ store, head, index, geometry, ranked }: MarkProps) {
  const { x, y, values, start, barWidth } = geometry;
  const value = values[index] ?? Number.NaN;
  const measured = Number.isFinite(value);
  const height = y.at(measured ? value : start);
  const pruned = store.pruned.value.has(...head);
  const lit = isHead(store.shownHead.value, head);
  const brushed = store.brush.has(...head);
  const sign = importanceAt(store.importance.value, ...head) >= 0 ? "hurts" : "helps";
  const color = `var(--vaw-${pruned || !measured ? "muted" : sign})`;
  return ranked ? (
    <rect
      x={x.at(1 + index) - barWidth / 2}
      width={barWidth}
      y={Math.min(y.at(0), height)}
      height={Math.max(1, Math.abs(y.at(0) - height))}
      fill={brushed ? "var(--vaw-accent)" : color}
      stroke={lit ? "var(--vaw-fg)" : "none"}
    />
  ) : (
    <circle
      cx={x.at(1 + index)}
      cy={height}
      r={lit || brushed ? 4.5 : 2.5}
      fill={brushed ? "var(--vaw-accent)" : pruned ? "none" : color}
      stroke={lit ? "var(--vaw-fg)" : color}
    />
  );
}
