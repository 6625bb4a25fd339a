// Heads along the depth of the model, as in Li et al. 2023 (x = 1 + H l + h, x = 0 the whole
// model), or from the most to the least important. Drag over a stretch to choose its heads.

import { useRef } from "preact/hooks";
import { linear } from "../../draw/scale";
import type { Head, ModelInfo } from "../../protocol/schema";
import { headCount, headKey, headsInOrder, isHead } from "../../state/heads";
import { type Importance, importanceAt } from "../../state/results";
import type { Store } from "../../state/store";
import { BOTTOM, LEFT, RIGHT, TOP, XAxis, YAxis } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";

const HEIGHT = 190;
/** Pixels before a press becomes a drag. */
const DRAG = 4;

/** All heads, along the depth or by importance (the pruned and unknown ones last). */
export function order(info: ModelInfo, importance: Importance | null, ranked: boolean): Head[] {
  const heads = headsInOrder(info.num_heads);
  if (!ranked) return heads;
  const value = ([l, h]: Head) => {
    const known = importanceAt(importance, l, h);
    return Number.isFinite(known) ? known : Number.NEGATIVE_INFINITY;
  };
  return heads
    .map((head) => [value(head), head] as const)
    .sort((a, b) => b[0] - a[0])
    .map(([, head]) => head);
}

/** What a head's place is drawn at: the probability that is left, or the metric itself. */
function heightOf(importance: Importance, [layer, head]: Head, ranked: boolean): number {
  const value = importanceAt(importance, layer, head);
  return importance.metric === "probability" && !ranked ? importance.baseline - value : value;
}

export function HeadChart({ store, info }: { store: Store; info: ModelInfo }) {
  const [ref, width] = useWidth<HTMLDivElement>(640);
  const svg = useRef<SVGSVGElement>(null);
  /** Where the pointer went down: at which head, and at which pixel. */
  const from = useRef<{ index: number; x: number } | null>(null);
  const importance = store.importance.value;
  const ranked = store.headView.value === "ranked";
  const heads = order(info, importance, ranked);
  const pruned = store.pruned.value;
  const heights = heads.map((head) =>
    importance ? heightOf(importance, head, ranked) : Number.NaN,
  );
  const start = importance?.metric === "probability" && !ranked ? importance.baseline : 0;
  const known = [...heights.filter(Number.isFinite), start, 0];
  const x = linear(0, heads.length + 1, LEFT, width - RIGHT);
  const y = linear(Math.min(...known), Math.max(...known), HEIGHT - BOTTOM, TOP);
  const before = (layer: number) => headCount(info.num_heads.slice(0, layer));
  const layers = info.num_heads.map(
    (count, layer) => [x.at(before(layer) + count / 2 + 0.5), `${layer}`] as const,
  );

  const indexAt = (event: PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    const share = box ? (event.clientX - box.left - LEFT) / (width - RIGHT - LEFT) : 0;
    return Math.max(0, Math.min(heads.length - 1, Math.round(share * (heads.length + 1)) - 1));
  };
  const over = (event: PointerEvent) => {
    const index = indexAt(event);
    const head = heads[index] ?? null;
    const [layer, number] = store.hoveredHead.peek() ?? [-1, -1];
    if (head?.[0] !== layer || head?.[1] !== number) store.hoveredHead.value = head;
    const start = from.current;
    const dragged = store.brush.heads.peek().length > 0;
    if (event.buttons === 1 && start && (dragged || Math.abs(event.clientX - start.x) >= DRAG)) {
      const [low, high] = [Math.min(index, start.index), Math.max(index, start.index)];
      store.brush.heads.value = heads.slice(low, high + 1);
    }
  };
  const choose = (index: number) => {
    const head = heads[index];
    if (head) store.set({ selected_layer: head[0], selected_head: head[1] });
  };
  const points = heads.map((_, i) => `${x.at(1 + i)},${y.at(heights[i] ?? Number.NaN)}`);
  const line = [`${x.at(0)},${y.at(start)}`, ...points].filter((p) => !p.includes("NaN"));
  const shown = store.shownHead.value;
  return (
    <div ref={ref} class="vaw-chart" {...headWalk(store, heads)}>
      <svg
        ref={svg}
        width={width}
        height={HEIGHT}
        aria-hidden="true"
        data-testid="head-chart"
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          store.brush.clear();
          from.current = { index: indexAt(event), x: event.clientX };
        }}
        onPointerMove={over}
        onPointerUp={(event) => {
          if (from.current && store.brush.heads.peek().length === 0) choose(indexAt(event));
          from.current = null;
        }}
        onPointerLeave={() => {
          store.hoveredHead.value = null;
        }}
      >
        {!ranked &&
          info.num_heads.map((count, layer) => {
            const left = x.at(before(layer) + 0.5);
            return (
              <g key={`layer ${info.num_layers} ${layer}`}>
                {layer % 2 === 0 && (
                  <rect
                    x={left}
                    y={TOP}
                    width={x.at(before(layer) + count + 0.5) - left}
                    height={HEIGHT - BOTTOM - TOP}
                    fill="var(--vaw-panel)"
                  />
                )}
              </g>
            );
          })}
        <YAxis y={y} width={width} />
        <XAxis
          labels={ranked ? [] : layers}
          title={ranked ? "heads, the most important first" : "layer (heads side by side)"}
          width={width}
          height={HEIGHT}
        />
        <text x={LEFT + 4} y={TOP + 10}>
          {importance?.metric === "probability" && !ranked
            ? "probability without the head"
            : "importance"}
        </text>
        {ranked ? null : (
          <>
            <line
              x1={LEFT}
              x2={width - RIGHT}
              y1={y.at(start)}
              y2={y.at(start)}
              stroke="var(--vaw-muted)"
              stroke-dasharray="2 3"
            />
            <polyline
              points={line.join(" ")}
              fill="none"
              stroke="var(--vaw-muted)"
              stroke-width="1"
            />
          </>
        )}
        {heads.map(([layer, head], i) => {
          const key = headKey(layer, head);
          const value = heights[i] ?? Number.NaN;
          const gone = pruned.has(layer, head);
          const height = Number.isFinite(value) ? value : start;
          const lit = isHead(shown, [layer, head]);
          const brushed = store.brush.has(layer, head);
          const importanceHere = importanceAt(importance, layer, head);
          const colour =
            gone || !Number.isFinite(value)
              ? "var(--vaw-muted)"
              : importanceHere >= 0
                ? "var(--vaw-hurts)"
                : "var(--vaw-helps)";
          const wide = Math.max(1, x.at(1) - x.at(0) - 1);
          return ranked ? (
            <rect
              key={key}
              x={x.at(1 + i) - wide / 2}
              width={wide}
              y={Math.min(y.at(0), y.at(height))}
              height={Math.max(1, Math.abs(y.at(0) - y.at(height)))}
              fill={brushed ? "var(--vaw-accent)" : colour}
              stroke={lit ? "var(--vaw-fg)" : "none"}
            />
          ) : (
            <circle
              key={key}
              cx={x.at(1 + i)}
              cy={y.at(height)}
              r={lit || brushed ? 4.5 : 2.5}
              fill={brushed ? "var(--vaw-accent)" : gone ? "none" : colour}
              stroke={lit ? "var(--vaw-fg)" : colour}
            />
          );
        })}
      </svg>
    </div>
  );
}
