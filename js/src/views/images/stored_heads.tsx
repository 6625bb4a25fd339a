// How each head's numbers are spread over the images of a folder: a small histogram a head, and the
// one that is looked at in full.

import { tick } from "../../draw/scale";
import type { ModelInfo, StoredInfo } from "../../protocol/schema";
import { headKey, headsInOrder, isHead } from "../../state/heads";
import type { Store } from "../../state/store";
import { imagesOf, quantityName, type StoredHeadsData } from "../../state/stored";
import { className, headName, number } from "../../state/words";
import { BOTTOM, LEFT, PlumbLine, RIGHT, TOP, XAxis } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";
import { GAP, layerColumns } from "../../ui/layer_columns";

const HEIGHT = 150;
const ABOVE = 18;
const TALLEST = 26;

interface Props {
  store: Store;
  info: ModelInfo;
  stored: StoredInfo;
  heads: StoredHeadsData;
}

/** Numbers of one head over the images: bins of the value's square root, sign kept. */
interface Spread {
  mean: number;
  bins: Float32Array;
  classMean: number;
  classBins: Float32Array | null;
}

function spreadOf({ tensors }: StoredHeadsData, layer: number, head: number): Spread {
  const [, heads = 0, count = 0] = tensors.bins.shape;
  const index = layer * heads + head;
  const part = (values: Float32Array) => values.subarray(index * count, (index + 1) * count);
  return {
    mean: tensors.mean.data[index] ?? Number.NaN,
    bins: part(tensors.bins.data),
    classMean: tensors.class_mean?.data[index] ?? Number.NaN,
    classBins: tensors.class_bins ? part(tensors.class_bins.data) : null,
  };
}

/** A closed outline of a histogram within a box; square roots of its shares, so that few are seen. */
function outline(bins: Float32Array, x: number, y: number, width: number, height: number): string {
  const most = Math.sqrt(Math.max(1e-9, ...bins));
  const step = width / bins.length;
  const steps = Array.from(bins, (count, i) => {
    const top = y + height * (1 - Math.sqrt(count) / most);
    return `V${top.toFixed(1)}H${(x + (i + 1) * step).toFixed(1)}`;
  });
  return `M${x.toFixed(1)} ${y + height}${steps.join("")}V${y + height}Z`;
}

function Small({ store, info, heads }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(640);
  const columns = layerColumns(available, info.num_layers);
  const height = Math.min(TALLEST, Math.max(16, columns.width * 0.5));
  const width = columns.width - GAP;
  const all = headsInOrder(info.num_heads);
  const rows = Math.max(...info.num_heads);
  const said = (_: Store, layer: number, head: number) =>
    `${headName(layer, head)}: mean ${number(spreadOf(heads, layer, head).mean)}`;
  return (
    <div ref={ref} class="vaw-chart vaw-changes-grid" {...headWalk(store, all, said)}>
      <svg
        width={columns.right + GAP}
        height={ABOVE + rows * (height + GAP)}
        style={{ maxWidth: "none" }}
        aria-hidden="true"
        data-testid="stored-heads"
        onPointerLeave={() => {
          store.hoveredHead.value = null;
        }}
      >
        {info.num_heads.map((_, layer) => (
          <text key={`l ${layer}`} x={columns.middle(layer)} y={ABOVE - 6} text-anchor="middle">
            {layer}
          </text>
        ))}
        {Array.from({ length: rows }, (_, head) => (
          <text
            key={`h ${head}`}
            x={9}
            y={ABOVE + head * (height + GAP) + height / 2 + 4}
            text-anchor="middle"
          >
            {head}
          </text>
        ))}
        {all.map(([layer, head]) => {
          const [x, y] = [columns.middle(layer) - width / 2, ABOVE + head * (height + GAP)];
          const { bins, classBins } = spreadOf(heads, layer, head);
          const lit = isHead(store.shownHead.value, [layer, head]);
          return (
            <g
              key={headKey(layer, head)}
              class="vaw-change"
              data-testid={`stored-head-${layer}-${head}`}
              onPointerEnter={() => {
                store.hoveredHead.value = [layer, head];
              }}
              onClick={() => store.set({ selected_layer: layer, selected_head: head })}
            >
              <rect
                {...{ x, y, width, height }}
                rx="2"
                fill="var(--vaw-panel)"
                stroke={lit ? "var(--vaw-accent)" : "var(--vaw-line)"}
                stroke-width={lit ? 2 : 1}
              />
              <path d={outline(bins, x, y + 1, width, height - 2)} fill="var(--vaw-muted)" />
              {classBins && (
                <path
                  d={outline(classBins, x, y + 1, width, height - 2)}
                  fill="none"
                  stroke="var(--vaw-hurts)"
                />
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

/** Round values whose square roots lie well apart between two roots. */
function ticksOf(low: number, high: number): number[] {
  const most = Math.max(Math.abs(low), Math.abs(high)) ** 2;
  const top = 10 ** Math.floor(Math.log10(most));
  const round = [top / 10, top / 2, top, 2 * top, 5 * top];
  const values = [...round.map((value) => -value).reverse(), 0, ...round];
  const roots = values.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
  return values.filter((_, i) => (roots[i] as number) >= low && (roots[i] as number) <= high);
}

function Large({ store, info, stored, heads }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>(280);
  const [layer, shownHead] = store.shownHead.value;
  const head = Math.max(0, shownHead);
  const { mean, bins, classMean, classBins } = spreadOf(heads, layer, head);
  const [low, high] = [Number(heads.metadata.low), Number(heads.metadata.high)];
  const inner = width - LEFT - RIGHT;
  const placeOf = (value: number) => {
    const root = Math.sign(value) * Math.sqrt(Math.abs(value));
    return LEFT + ((root - low) / (high - low)) * inner;
  };
  const labels = ticksOf(low, high).map((value): [number, string] => [
    placeOf(value),
    tick(value, Math.abs(value) || 1),
  ]);
  const name = quantityName(info, heads.metadata.quantity);
  const index = Number(heads.metadata.of_class);
  return (
    <div class="vaw-stack">
      <p class="vaw-reads" data-testid="stored-head-says">
        {headName(layer, head)}: mean {name} {number(mean)} over{" "}
        {imagesOf(Number(heads.metadata.images))}
        {classBins && (
          <>
            ,{" "}
            <span class="vaw-of-class">
              {number(classMean)} over those of {className(info, index)}
            </span>
          </>
        )}
      </p>
      <div ref={ref} class="vaw-chart">
        <svg width={width} height={HEIGHT} role="img" aria-label={`${name} over the images`}>
          <path
            d={outline(bins, LEFT, TOP, inner, HEIGHT - TOP - BOTTOM)}
            fill="var(--vaw-muted)"
          />
          {classBins && (
            <path
              d={outline(classBins, LEFT, TOP, inner, HEIGHT - TOP - BOTTOM)}
              fill="none"
              stroke="var(--vaw-hurts)"
              stroke-width="2"
            />
          )}
          <PlumbLine x={placeOf(mean)} height={HEIGHT} stroke="var(--vaw-fg)" stroke-width="1.5" />
          {classBins && (
            <PlumbLine
              x={placeOf(classMean)}
              height={HEIGHT}
              stroke="var(--vaw-hurts)"
              stroke-width="1.5"
            />
          )}
          <XAxis labels={labels} title={name} width={width} height={HEIGHT} />
        </svg>
      </div>
      <p class="vaw-muted">
        Both axes are square roots, so that what is near zero and what is rare can be seen; the
        upright line is the mean{stored.of_class >= 0 && ", orange is the class"}.
      </p>
    </div>
  );
}

export function StoredHeadsView(props: Props) {
  return (
    <div class="vaw-stack">
      <Large {...props} />
      <Small {...props} />
    </div>
  );
}
