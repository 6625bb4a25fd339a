// One dot a head, layers from left to right: the plot that every ViT user knows.

import { linear, tick } from "../draw/scale";
import type { Store } from "../state/store";
import type { Head, ModelInfo } from "../state/traits";
import { headName, number } from "../state/words";
import { useWidth } from "./canvas";
import { headWalk, shownHead } from "./head_walk";

const HEIGHT = 180;
const LEFT = 40;
const BOTTOM = 30;
const TOP = 24;
const RIGHT = 8;

interface Props {
  store: Store;
  info: ModelInfo;
  value: (layer: number, head: number) => number;
  /** Upper end of the axis; the largest value by default. */
  most?: number;
  label: string;
  testid: string;
}

export function DotsByLayer({ store, info, value, most, label, testid }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>(480);
  const heads = info.num_heads.flatMap((count, layer) =>
    Array.from({ length: count }, (_, head): Head => [layer, head]),
  );
  const values = heads.map(([layer, head]) => value(layer, head));
  const high = most ?? Math.max(...values.filter(Number.isFinite), 1e-9);
  const x = linear(-0.5, info.num_layers - 0.5, LEFT, width - RIGHT);
  const y = linear(0, high, HEIGHT - BOTTOM, TOP);
  const step = (y.ticks[1] ?? 1) - (y.ticks[0] ?? 0);
  const [atLayer, atHead] = shownHead(store);
  const pruned = new Set(store.traits.pruned_heads.value.map(([l, h]) => `${l}-${h}`));
  const said = (_: Store, layer: number, head: number) =>
    `${headName(layer, head)}, ${label} ${number(value(layer, Math.max(0, head)))}`;
  return (
    <div ref={ref} class="vaw-chart" {...headWalk(store, heads, said)}>
      <svg
        width={width}
        height={HEIGHT}
        aria-hidden="true"
        data-testid={testid}
        onPointerLeave={() => {
          store.hoveredHead.value = null;
        }}
      >
        {y.ticks.map((at) => (
          <g key={`y ${at}`}>
            <line
              x1={LEFT}
              x2={width - RIGHT}
              y1={y.at(at)}
              y2={y.at(at)}
              stroke="var(--vaw-line)"
            />
            <text x={LEFT - 5} y={y.at(at) + 4} text-anchor="end">
              {tick(at, step)}
            </text>
          </g>
        ))}
        {info.num_heads.map((_, layer) => (
          <text
            key={`x ${info.num_layers} ${layer}`}
            x={x.at(layer)}
            y={HEIGHT - BOTTOM + 13}
            text-anchor="middle"
          >
            {layer}
          </text>
        ))}
        <text x={LEFT} y={TOP - 11}>
          {label}
        </text>
        <text x={(LEFT + width) / 2} y={HEIGHT - 3} text-anchor="middle">
          layer
        </text>
        {heads.map(([layer, head], i) => {
          const height = values[i] ?? Number.NaN;
          if (!Number.isFinite(height)) return null;
          const count = info.num_heads[layer] ?? 1;
          const lit = layer === atLayer && head === atHead;
          const aside = count > 1 ? (head / (count - 1) - 0.5) * 0.6 : 0;
          return (
            <circle
              key={`${layer}-${head}`}
              cx={x.at(layer + aside)}
              cy={y.at(height)}
              r={lit ? 5.5 : 3.5}
              fill={pruned.has(`${layer}-${head}`) ? "none" : "var(--vaw-accent)"}
              fill-opacity={lit ? 1 : 0.6}
              stroke={lit ? "var(--vaw-fg)" : "var(--vaw-accent)"}
              onPointerEnter={() => {
                store.hoveredHead.value = [layer, head];
              }}
              onClick={() => store.set({ selected_layer: layer, selected_head: head })}
            />
          );
        })}
      </svg>
    </div>
  );
}
