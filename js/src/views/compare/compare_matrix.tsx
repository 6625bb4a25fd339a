// Rank correlations of all pairs of maps, as a table of colors with the numbers in them.

import type { Signal } from "@preact/signals";
import { colormap } from "../../draw/colormaps";
import type { Comparison, ModelInfo } from "../../protocol/schema";
import { nameOf, rho, tag } from "../../state/comparison";
import { useWidth } from "../../ui/canvas";

const SHORT = 34;
const LONG = 134;
const LARGEST = 44;
/** Cells narrower than this hold no number; the sentence above tells it. */
const READABLE = 29;

/** Background of a cell, and black or white on it, whichever reads better. */
export function cellColors(value: number): { background: string; color: string } {
  const table = colormap("diverging");
  const entry = Math.round(((Math.max(-1, Math.min(1, value)) + 1) / 2) * 255) * 3;
  const [r = 0, g = 0, b = 0] = table.subarray(entry, entry + 3);
  const linear = (c: number) =>
    c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return { background: `rgb(${r}, ${g}, ${b})`, color: light > 0.179 ? "#000" : "#fff" };
}

interface Props {
  info: ModelInfo;
  comparison: Comparison;
  lit: Signal<number | null>;
  pair: Signal<readonly [number, number] | null>;
}

export function CompareMatrix({ info, comparison, lit, pair }: Props) {
  const [root, width] = useWidth<HTMLDivElement>();
  const { keys, correlation } = comparison;
  const count = keys.length;
  const numbered = comparison.of === "layers" || comparison.of === "images"; // names are numbers
  const named = !numbered && (width - LONG) / count >= READABLE;
  const head = named ? LONG : SHORT;
  const cell = Math.max(5, Math.min(LARGEST, Math.floor((width - head) / count)));
  const height = Math.min(26, cell);
  const text = (r: number | null) => (cell >= LARGEST - 2 ? rho(r) : rho(r).replace("0.", "."));
  const pairOf = (event: Event) => {
    const place = (event.target as Element).closest<HTMLElement>("td")?.dataset;
    return place ? ([Number(place.i), Number(place.j)] as const) : null;
  };
  // What does not fit into narrow columns of heads is left to the rows.
  const every = Math.ceil(16 / cell);
  return (
    <div ref={root} class="vaw-compare-matrix">
      <table
        aria-label="rank correlation of each pair of maps"
        data-testid="compare-matrix"
        style={{ width: `${head + cell * count}px` }}
        onPointerOver={(event) => {
          pair.value = pairOf(event);
        }}
        onPointerLeave={() => {
          pair.value = null;
        }}
      >
        <thead>
          <tr>
            <td style={{ width: `${head}px` }} />
            {keys.map((key, j) => (
              <th
                key={key}
                scope="col"
                style={{ width: `${cell}px` }}
                class={lit.value === j || pair.value?.[1] === j ? "vaw-lit" : ""}
                data-tip={nameOf(info, comparison, j)}
              >
                {j % every === 0 ? tag(comparison, j) : ""}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keys.map((key, i) => (
            <tr key={key} style={{ height: `${height}px` }}>
              <th
                scope="row"
                class={lit.value === i || pair.value?.[0] === i ? "vaw-lit" : ""}
                data-tip={nameOf(info, comparison, i)}
              >
                {i % Math.ceil(14 / height) === 0 ? tag(comparison, i) : ""}
                {named && ` ${nameOf(info, comparison, i)}`}
              </th>
              {keys.map((other, j) => {
                const r = correlation[i]?.[j] ?? null;
                const same = i === j;
                return (
                  <td
                    key={other}
                    data-i={i}
                    data-j={j}
                    class={same ? "vaw-same" : ""}
                    style={same || r === null ? undefined : cellColors(r)}
                  >
                    {!same && cell >= READABLE ? text(r) : ""}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
