// One dot a head, layers from left to right: the plot that every ViT user knows.

import { linear } from "../../draw/scale";
import type { ModelInfo } from "../../protocol/schema";
import { headKey, headsInOrder, isHead } from "../../state/heads";
import type { Store } from "../../state/store";
import { headName, number } from "../../state/words";
import { BOTTOM, LEFT, RIGHT, TITLE, TOP, XAxis, YAxis, YTitle } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";

const HEIGHT = 180;

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
  const heads = headsInOrder(info.num_heads);
  const values = heads.map(([layer, head]) => value(layer, head));
  const high = most ?? Math.max(...values.filter(Number.isFinite), 1e-9);
  const x = linear(-0.5, info.num_layers - 0.5, LEFT, width - RIGHT);
  const y = linear(0, high, HEIGHT - BOTTOM, TOP + TITLE);
  const shown = store.shownHead.value;
  const pruned = store.pruned.value;
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
        <YAxis y={y} width={width} />
        <XAxis
          labels={info.num_heads.map((_, layer) => [x.at(layer), `${layer}`])}
          title="layer"
          width={width}
          height={HEIGHT}
        />
        <YTitle>{label}</YTitle>
        {heads.map(([layer, head], i) => {
          const height = values[i] ?? Number.NaN;
          if (!Number.isFinite(height)) return null;
          const count = info.num_heads[layer] ?? 1;
          const lit = isHead(shown, [layer, head]);
          const aside = count > 1 ? (head / (count - 1) - 0.5) * 0.6 : 0;
          return (
            <circle
              key={headKey(layer, head)}
              cx={x.at(layer + aside)}
              cy={y.at(height)}
              r={lit ? 5.5 : 3.5}
              fill={pruned.has(layer, head) ? "none" : "var(--vaw-accent)"}
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
