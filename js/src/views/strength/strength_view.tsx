// How far the heads look: entropy and mean attention distance by layer, and one head's reach.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { linear } from "../../draw/scale";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { type Strength, strengthOf } from "../../state/strength";
import { headTable } from "../../state/tables";
import { headName, number, percent } from "../../state/words";
import { BOTTOM, LEFT, numbered, PlumbLine, RIGHT, TOP, XAxis, YAxis } from "../../ui/axes";
import { useWidth } from "../../ui/canvas";
import { Panel } from "../../ui/controls";
import { DotsByLayer } from "./dots_by_layer";

const SEES =
  "How far away heads attend, and over how many patches they spread, from the first layer to " +
  "the last: each dot is a head.";

const HEIGHT = 150;

interface BarsProps {
  /** [from, to, height] of each bar. */
  bars: readonly (readonly [from: number, to: number, height: number])[];
  title: string;
  label: string;
  testid: string;
  color: string;
  /** A place to mark on the x axis. */
  mark?: number;
}

function Bars({ bars, title, label, testid, color, mark }: BarsProps) {
  const [ref, width] = useWidth<HTMLDivElement>(280);
  const x = linear(bars[0]?.[0] ?? 0, bars.at(-1)?.[1] ?? 1, LEFT, width - RIGHT, 6);
  const y = linear(
    0,
    Math.max(...bars.map(([, , height]) => height), 1e-9),
    HEIGHT - BOTTOM,
    TOP,
    3,
  );
  return (
    <div ref={ref} class="vaw-chart">
      <svg width={width} height={HEIGHT} role="img" aria-label={label} data-testid={testid}>
        <YAxis y={y} width={width} />
        <XAxis labels={numbered(x)} title={title} width={width} height={HEIGHT} />
        {bars.map(([from, to, height]) => (
          <rect
            key={`bar ${from}`}
            x={x.at(from) + 0.5}
            width={Math.max(1, x.at(to) - x.at(from) - 1)}
            y={y.at(height)}
            height={HEIGHT - BOTTOM - y.at(height)}
            fill={color}
          >
            <title>{number(height)}</title>
          </rect>
        ))}
        {mark !== undefined && (
          <PlumbLine x={x.at(mark)} height={HEIGHT} stroke="var(--vaw-hurts)" stroke-width="2" />
        )}
      </svg>
    </div>
  );
}

const BINS = 24;

/** How many values lie in each of equal bins from 0 to `most`. */
export function histogram(values: number[], most: number): [number, number, number][] {
  const counts = new Array<number>(BINS).fill(0);
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor((value / most) * BINS));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((count, i) => [(i * most) / BINS, ((i + 1) * most) / BINS, count]);
}

function CompareWithSet({ store, count }: { store: Store; count: number }) {
  const problem = useSignal("");
  return (
    <>
      <button
        type="button"
        data-testid="strength-set"
        onClick={async () => {
          problem.value = await store.request("strength_set", {});
        }}
      >
        compare with {count} images
      </button>
      {problem.value && <p role="alert">{problem.value}</p>}
    </>
  );
}

function Reach({ store, strength, info }: { store: Store; strength: Strength; info: ModelInfo }) {
  const [layer, shownHead] = store.shownHead.value;
  const head = Math.max(0, shownHead);
  const exists = head < (info.num_heads[layer] ?? 0);
  const set = strength.ofSet(layer, head);
  const [self, patches, back] = strength.classShares(layer, head);
  return (
    <div class="vaw-stack">
      <p class="vaw-reads" data-testid="strength-says">
        {headName(layer, head)}: entropy {number(strength.entropy(layer, head))} of at most{" "}
        {number(Math.log(strength.hops))}, reaches {number(strength.distance(layer, head))} pixels
        on average
      </p>
      {exists && (
        <Bars
          bars={strength.shares(layer, head).map((share, hop) => [hop - 0.5, hop + 0.5, share])}
          title="hops from the patch"
          label={`strength by hop of ${headName(layer, head)}`}
          testid="hop-profile"
          color="var(--vaw-accent)"
        />
      )}
      {Number.isFinite(self) && (
        <p class="vaw-muted">
          class token: {percent(self)} to itself, {percent(patches)} to the patches; patches give it{" "}
          {percent(back)}
        </p>
      )}
      {set.length > 0 ? (
        <Bars
          bars={histogram(set, Math.log(strength.hops))}
          title={`entropy over ${set.length} images; this image marked`}
          label="entropy over the images"
          testid="entropy-distribution"
          color="var(--vaw-muted)"
          mark={strength.entropy(layer, head)}
        />
      ) : (
        info.set_size > 0 && <CompareWithSet store={store} count={info.set_size} />
      )}
    </div>
  );
}

/** The plots; the kernel measures when they are shown. */
export function StrengthPlots({ store }: { store: Store }) {
  const info = store.info.value;
  const version = store.traits._version.value;
  const problem = useSignal("");
  useEffect(() => {
    const ask = async () => {
      problem.value = await store.request("strength", {});
    };
    if (version > 0) ask();
  }, [store, version, problem]);
  if (!info) return null;
  const strength = strengthOf(store.strengthTensors.value, store.strengthSet.value);
  if (strength === null && problem.value) return <p role="alert">{problem.value}</p>;
  if (strength === null) return <p class="vaw-muted">Measuring how far the heads look …</p>;
  return (
    <div class="vaw-beside">
      <div class="vaw-stack">
        <DotsByLayer
          store={store}
          info={info}
          value={(layer, head) => strength.entropy(layer, head)}
          most={Math.log(strength.hops)}
          label="entropy of attention by distance (nats)"
          testid="entropy-by-layer"
        />
        <DotsByLayer
          store={store}
          info={info}
          value={(layer, head) => strength.distance(layer, head)}
          label="mean attention distance (pixels)"
          testid="distance-by-layer"
        />
      </div>
      <Reach store={store} strength={strength} info={info} />
    </div>
  );
}

export function StrengthView({ store }: { store: Store }) {
  const info = store.info.value;
  const strength = strengthOf(store.strengthTensors.value, store.strengthSet.value);
  return (
    <Panel
      title="Attention distance and entropy"
      sees={SEES}
      name="strength"
      table={
        info && strength
          ? () =>
              headTable(info, {
                "entropy (nats)": strength.entropy,
                "distance (pixels)": strength.distance,
              })
          : undefined
      }
    >
      <StrengthPlots store={store} />
    </Panel>
  );
}
