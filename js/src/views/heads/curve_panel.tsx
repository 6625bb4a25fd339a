// What is left of the decision as ever more heads are removed, in several orders.

import { type Signal, useSignal } from "@preact/signals";
import { linear } from "../../draw/scale";
import type { Curve, ModelInfo } from "../../protocol/schema";
import { headCount } from "../../state/heads";
import type { Store } from "../../state/store";
import { curveTable } from "../../state/tables";
import { counted, output, outputName } from "../../state/words";
import {
  BOTTOM,
  LEFT,
  LevelLine,
  numbered,
  PlumbLine,
  RIGHT,
  TOP,
  XAxis,
  YAxis,
} from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { SaveMenu } from "../../ui/save_menu";
import { PruneUntil } from "./prune_until";

const HEIGHT = 200;
const OTHERS = [
  { key: "greedy", label: "greedy", hint: "At every step the head that costs least to remove." },
  {
    key: "random",
    label: "random",
    hint: "In random order: the baseline that every other order should beat.",
  },
];
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 4"];

/** How a curve is drawn, in the plot and in its legend. */
function strokeOf(key: string, index: number): { color: string; dash: string } {
  const color = index % 2 ? "var(--vaw-hurts)" : "var(--vaw-accent)";
  return {
    color: key === "random" ? "var(--vaw-muted)" : color,
    dash: DASHES[index % DASHES.length] ?? "",
  };
}

type Order = ModelInfo["metrics"][number] | (typeof OTHERS)[number];

export function CurvePanel({ store }: { store: Store }) {
  const [ref, width] = useWidth<HTMLDivElement>(560);
  /** How many heads are removed where the pointer is. */
  const removed = useSignal<number | null>(null);
  const info = store.info.value;
  if (!info) return null;
  const curves = Object.entries(store.traits.curves.value);
  const orders = [...info.metrics, ...OTHERS];
  const name = (key: string) => orders.find((order) => order.key === key)?.label ?? key;
  return (
    <div class="vaw-chart vaw-curves">
      <div class="vaw-row">
        <span class="vaw-muted">remove heads by</span>
        <OrderChips store={store} orders={orders} />
        {curves.length > 0 && (
          <SaveMenu name="curve" table={() => curveTable(store.traits.curves.peek())} />
        )}
      </div>
      <PruneUntil store={store} info={info} orders={orders} />
      <div ref={ref} />
      {curves.length === 0 ? (
        <p class="vaw-muted">
          Choose an order: heads are removed one after another, the least important first.
        </p>
      ) : (
        <CurvePlot curves={curves} info={info} width={width} removed={removed} />
      )}
      {curves.map(([key, curve], i) => (
        <CurveRow
          key={key}
          store={store}
          info={info}
          curve={curve}
          label={name(key)}
          {...strokeOf(key, i)}
          removed={removed.value}
        />
      ))}
    </div>
  );
}

function OrderChips({ store, orders }: { store: Store; orders: readonly Order[] }) {
  const problem = useSignal("");
  return (
    <span class="vaw-chips">
      {orders.map(({ key, label, hint }) => (
        <button
          type="button"
          class="vaw-chip"
          key={key}
          data-tip={hint}
          data-testid={`curve-${key}`}
          aria-pressed={key in store.traits.curves.value}
          onClick={async () => {
            problem.value = await store.request("curve", { order: key });
          }}
        >
          {label}
        </button>
      ))}
      {problem.value && <span role="alert">{problem.value}</span>}
    </span>
  );
}

interface PlotProps {
  curves: readonly (readonly [key: string, curve: Curve])[];
  info: ModelInfo;
  width: number;
  removed: Signal<number | null>;
}

function CurvePlot({ curves, info, width, removed }: PlotProps) {
  const first = curves[0]?.[1];
  if (!first) return null;
  const total = headCount(info.num_heads);
  const quantity = quantityOf(first, info);
  const x = linear(0, total, LEFT, width - RIGHT, 6);
  const all = curves.flatMap(([, { values }]) => values);
  const [low, high] = quantity === "value" ? [Math.min(0, ...all), Math.max(0, ...all)] : [0, 1];
  const y = linear(low, high, HEIGHT - BOTTOM, TOP);
  const whole = y.at(first.values[0] ?? 0);
  const pointer = removed.value === null ? null : x.at(removed.value);
  const removedAt = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (width - RIGHT - LEFT);
    return Math.max(0, Math.min(total, Math.round(share * total)));
  };
  return (
    <svg
      width={width}
      height={HEIGHT}
      role="img"
      aria-label={`${quantity} against heads removed`}
      data-testid="curve"
      onPointerMove={(event) => {
        removed.value = removedAt(event);
      }}
      onPointerLeave={() => {
        removed.value = null;
      }}
    >
      <YAxis y={y} width={width} />
      <XAxis
        labels={numbered(x)}
        title={`heads removed (${quantity} left)`}
        width={width}
        height={HEIGHT}
      />
      <LevelLine y={whole} width={width} stroke="var(--vaw-accent)" stroke-dasharray="2 3" />
      {curves.map(([key, curve], i) => {
        const { color, dash } = strokeOf(key, i);
        return (
          <polyline
            key={key}
            points={curve.values.map((value, step) => `${x.at(step)},${y.at(value)}`).join(" ")}
            fill="none"
            stroke={color}
            stroke-width="1.6"
            stroke-dasharray={dash}
          />
        );
      })}
      {pointer !== null && <PlumbLine x={pointer} height={HEIGHT} stroke="var(--vaw-muted)" />}
    </svg>
  );
}

/** The legend of a curve: its value under the pointer, and the way to prune as far as it goes. */
function CurveRow(props: {
  store: Store;
  info: ModelInfo;
  curve: Curve;
  label: string;
  dash: string;
  color: string;
  removed: number | null;
}) {
  const { store, info, curve, label, dash, color, removed } = props;
  const last = curve.values.length - 1;
  const quantity = quantityOf(curve, info);
  const harmless = lastHarmless(curve, quantity === "value");
  const shown = removed === null ? harmless : Math.min(removed, last);
  return (
    <div class="vaw-row vaw-curve-row">
      <svg width="28" height="8" aria-hidden="true">
        <line
          x1="0"
          x2="28"
          y1="4"
          y2="4"
          stroke={color}
          stroke-width="2"
          stroke-dasharray={dash}
        />
      </svg>
      <span>
        {label}
        {last < curve.total && " (so far)"}: <b>{output(info, curve.values[shown] ?? 0)}</b> without{" "}
        {counted(shown, "head")}
      </span>
      <button
        type="button"
        disabled={harmless === 0}
        data-tip={
          quantity === "value"
            ? "As many as leave the value within 5 % of the whole model's"
            : `As many as leave at least 95 % of the whole model's ${quantity}`
        }
        onClick={() => store.prune(curve.order.slice(0, harmless))}
      >
        prune the first {harmless}
      </button>
    </div>
  );
}

/** What a curve shows. */
function quantityOf({ metric }: Curve, info: ModelInfo): "accuracy" | "probability" | "value" {
  return metric === "accuracy" ? metric : outputName(info);
}

/**
 * The most heads that can go while 95 % of the first value is left at every step; where values mean
 * themselves, while it moves by no more than 5 % either way.
 */
export function lastHarmless({ values }: Curve, eitherWay = false): number {
  const whole = values[0] ?? 0;
  const first = values.findIndex((value) =>
    eitherWay ? Math.abs(value - whole) > 0.05 * Math.abs(whole) : value < 0.95 * whole,
  );
  return first < 0 ? values.length - 1 : Math.max(0, first - 1);
}
