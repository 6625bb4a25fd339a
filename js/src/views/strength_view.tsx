// How far the heads look: entropy and mean attention distance by layer, and one head's reach.

import { useEffect } from "preact/hooks";
import { linear, tick } from "../draw/scale";
import type { Store } from "../state/store";
import { type Strength, strengthOf } from "../state/strength";
import type { ModelInfo } from "../state/traits";
import { headName, number } from "../state/words";
import { useWidth } from "./canvas";
import { Panel } from "./controls";
import { DotsByLayer } from "./dots_by_layer";
import { shownHead } from "./head_walk";

const HEIGHT = 150;
const LEFT = 40;
const BOTTOM = 30;
const TOP = 8;
const RIGHT = 8;

/** Share of a head's strength at each hop. */
function HopProfile({
  strength,
  layer,
  head,
}: {
  strength: Strength;
  layer: number;
  head: number;
}) {
  const [ref, width] = useWidth<HTMLDivElement>(280);
  const shares = strength.shares(layer, head);
  const x = linear(0, strength.hops, LEFT, width - RIGHT, 7);
  const y = linear(0, Math.max(...shares, 1e-9), HEIGHT - BOTTOM, TOP, 3);
  return (
    <div ref={ref} class="vaw-chart">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`strength by hop of ${headName(layer, head)}`}
        data-testid="hop-profile"
      >
        {y.ticks.map((value) => (
          <text key={`y ${value}`} x={LEFT - 5} y={y.at(value) + 4} text-anchor="end">
            {tick(value, (y.ticks[1] ?? 1) - (y.ticks[0] ?? 0))}
          </text>
        ))}
        {shares.map((share, hop) => (
          <g key={`hop ${strength.hops} ${hop}`}>
            <rect
              x={x.at(hop) + 1}
              width={Math.max(1, x.at(1) - x.at(0) - 2)}
              y={y.at(share)}
              height={HEIGHT - BOTTOM - y.at(share)}
              fill="var(--vaw-accent)"
            >
              <title>{`hop ${hop}: ${number(share)}`}</title>
            </rect>
            {x.ticks.includes(hop) && (
              <text x={x.at(hop + 0.5)} y={HEIGHT - BOTTOM + 13} text-anchor="middle">
                {hop}
              </text>
            )}
          </g>
        ))}
        <text x={(LEFT + width) / 2} y={HEIGHT - 3} text-anchor="middle">
          hops from the patch
        </text>
      </svg>
    </div>
  );
}

/** The entropy of one head over the image set, with the current image marked. */
function Distribution(props: { values: number[]; now: number; most: number }) {
  const { values, now, most } = props;
  const [ref, width] = useWidth<HTMLDivElement>(280);
  const bins = 24;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor((value / most) * bins));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const x = linear(0, most, LEFT, width - RIGHT, 4);
  const y = linear(0, Math.max(...counts, 1), HEIGHT - BOTTOM, TOP, 3);
  return (
    <div ref={ref} class="vaw-chart">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label="entropy over the images"
        data-testid="entropy-distribution"
      >
        {counts.map((count, bin) => (
          <rect
            key={`bin ${bin}`}
            x={x.at((bin * most) / bins) + 0.5}
            width={Math.max(1, x.at(most / bins) - x.at(0) - 1)}
            y={y.at(count)}
            height={HEIGHT - BOTTOM - y.at(count)}
            fill="var(--vaw-muted)"
          />
        ))}
        <line
          x1={x.at(now)}
          x2={x.at(now)}
          y1={TOP}
          y2={HEIGHT - BOTTOM}
          stroke="var(--vaw-hurts)"
          stroke-width="2"
        />
        {x.ticks.map((value) => (
          <text key={`x ${value}`} x={x.at(value)} y={HEIGHT - BOTTOM + 13} text-anchor="middle">
            {tick(value, 0.1)}
          </text>
        ))}
        <text x={(LEFT + width) / 2} y={HEIGHT - 3} text-anchor="middle">
          entropy over {values.length} images; this image marked
        </text>
      </svg>
    </div>
  );
}

function Reach({ store, strength, info }: { store: Store; strength: Strength; info: ModelInfo }) {
  const shown = shownHead(store);
  const [layer, head] = [shown[0], Math.max(0, shown[1])];
  const known = head < (info.num_heads[layer] ?? 0);
  const set = strength.ofSet(layer, head);
  const [self, patches, back] = strength.classShares(layer, head);
  return (
    <div class="vaw-stack">
      <p class="vaw-reads" data-testid="strength-says">
        {headName(layer, head)}: entropy {number(strength.entropy(layer, head))} of at most{" "}
        {number(Math.log(strength.hops))}, reaches {number(strength.distance(layer, head))} pixels
        on average
      </p>
      {known && <HopProfile strength={strength} layer={layer} head={head} />}
      {Number.isFinite(self) && (
        <p class="vaw-muted">
          class token: {percentOf(self)} to itself, {percentOf(patches)} to the patches; patches
          give it {percentOf(back)}
        </p>
      )}
      {set.length > 0 ? (
        <Distribution
          values={set}
          now={strength.entropy(layer, head)}
          most={Math.log(strength.hops)}
        />
      ) : (
        info.set_size > 0 && (
          <button
            type="button"
            data-testid="strength-set"
            onClick={() => store.request("strength_set", {})}
          >
            compare with {info.set_size} images
          </button>
        )
      )}
    </div>
  );
}

function percentOf(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export function StrengthView({ store }: { store: Store }) {
  const info = store.info.value;
  const version = store.traits.version.value;
  useEffect(() => {
    if (version > 0) store.request("strength", {});
  }, [store, version]);
  if (!info) return null;
  const strength = strengthOf(store.strengthTensors.value, store.strengthSet.value);
  return (
    <Panel title="How far heads look" name="strength">
      {strength === null ? (
        <p class="vaw-muted">Measuring how far the heads look …</p>
      ) : (
        <div class="vaw-strength">
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
      )}
    </Panel>
  );
}
