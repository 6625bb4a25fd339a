// What is left of the decision as ever more heads are removed, in several orders.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { linear } from "../../draw/scale";
import type { Curve } from "../../protocol/schema";
import { headCount } from "../../state/heads";
import type { Store } from "../../state/store";
import { curveTable } from "../../state/tables";
import { BOTTOM, LEFT, numbered, RIGHT, TOP, XAxis, YAxis } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { SaveMenu } from "../../ui/save_menu";

const HEIGHT = 200;
const OTHERS = [
  { key: "greedy", label: "greedy", hint: "At every step the head that costs the least then." },
  { key: "random", label: "random", hint: "In a random order: what an order must beat." },
];
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 4"];

export function CurvePanel({ store }: { store: Store }) {
  const [ref, width] = useWidth<HTMLDivElement>(560);
  const figure = useRef<HTMLDivElement>(null);
  const over = useSignal<number | null>(null);
  const info = store.info.value;
  if (!info) return null;
  const curves = Object.entries(store.traits.curves.value);
  const orders = [...info.metrics, ...OTHERS];
  const total = headCount(info.num_heads);
  const first = curves[0]?.[1];
  const x = linear(0, total, LEFT, width - RIGHT, 6);
  const y = linear(0, 1, HEIGHT - BOTTOM, TOP);
  const name = (key: string) => orders.find((order) => order.key === key)?.label ?? key;
  const stepAt = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (width - RIGHT - LEFT);
    return Math.max(0, Math.min(total, Math.round(share * total)));
  };
  const n = over.value;
  return (
    <div class="vaw-curves">
      <div class="vaw-row">
        <span class="vaw-muted">remove heads by</span>
        <span class="vaw-chips">
          {orders.map(({ key, label, hint }) => (
            <button
              type="button"
              class="vaw-chip"
              key={key}
              title={hint}
              data-testid={`curve-${key}`}
              aria-pressed={key in store.traits.curves.value}
              onClick={() => store.request("curve", { order: key })}
            >
              {label}
            </button>
          ))}
        </span>
        {first && (
          <SaveMenu
            figure={figure}
            name="curve"
            table={() => curveTable(store.traits.curves.peek())}
          />
        )}
      </div>
      <div ref={figure}>
        <div ref={ref} />
        {first === undefined ? (
          <p class="vaw-muted">
            Choose an order: heads are removed one after another, the least important first.
          </p>
        ) : (
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={`${first.metric} against heads removed`}
            data-testid="curve"
            onPointerMove={(event) => {
              over.value = stepAt(event);
            }}
            onPointerLeave={() => {
              over.value = null;
            }}
          >
            <YAxis y={y} width={width} />
            <XAxis
              labels={numbered(x)}
              title={`heads removed (${first.metric} left)`}
              width={width}
              height={HEIGHT}
            />
            <line
              x1={LEFT}
              x2={width - RIGHT}
              y1={y.at(first.values[0] ?? 0)}
              y2={y.at(first.values[0] ?? 0)}
              stroke="var(--vaw-accent)"
              stroke-dasharray="2 3"
            />
            {curves.map(([key, curve], i) => (
              <polyline
                key={key}
                points={curve.values.map((value, at) => `${x.at(at)},${y.at(value)}`).join(" ")}
                fill="none"
                stroke={
                  key === "random"
                    ? "var(--vaw-muted)"
                    : i % 2
                      ? "var(--vaw-hurts)"
                      : "var(--vaw-accent)"
                }
                stroke-width="1.6"
                stroke-dasharray={DASHES[i % DASHES.length]}
              />
            ))}
            {n !== null && (
              <line
                x1={x.at(n)}
                x2={x.at(n)}
                y1={TOP}
                y2={HEIGHT - BOTTOM}
                stroke="var(--vaw-muted)"
              />
            )}
          </svg>
        )}
      </div>
      {curves.map(([key, curve], i) => (
        <CurveRow
          key={key}
          store={store}
          curve={curve}
          label={name(key)}
          dash={DASHES[i % DASHES.length] ?? ""}
          colour={
            key === "random" ? "var(--vaw-muted)" : i % 2 ? "var(--vaw-hurts)" : "var(--vaw-accent)"
          }
          at={n}
        />
      ))}
    </div>
  );
}

/** The legend of a curve: its value under the pointer, and the way to prune as far as it goes. */
function CurveRow(props: {
  store: Store;
  curve: Curve;
  label: string;
  dash: string;
  colour: string;
  at: number | null;
}) {
  const { store, curve, label, dash, colour, at } = props;
  const last = curve.values.length - 1;
  const harmless = lastHarmless(curve);
  const shown = at === null ? harmless : Math.min(at, last);
  return (
    <div class="vaw-row vaw-curve-row">
      <svg width="28" height="8" aria-hidden="true">
        <line
          x1="0"
          x2="28"
          y1="4"
          y2="4"
          stroke={colour}
          stroke-width="2"
          stroke-dasharray={dash}
        />
      </svg>
      <span>
        {label}
        {last < curve.total && " (so far)"}: <b>{(curve.values[shown] ?? 0).toFixed(3)}</b> without{" "}
        {shown === 1 ? "1 head" : `${shown} heads`}
      </span>
      <button
        type="button"
        disabled={harmless === 0}
        title={`As many as leave at least 95 % of the whole model's ${curve.metric}`}
        onClick={() => store.prune(curve.order.slice(0, harmless))}
      >
        prune the first {harmless}
      </button>
    </div>
  );
}

/** The most heads that can go while 95 % of the first value is left at every step. */
export function lastHarmless({ values }: Curve): number {
  const least = 0.95 * (values[0] ?? 0);
  const first = values.findIndex((value) => value < least);
  return first < 0 ? values.length - 1 : Math.max(0, first - 1);
}
