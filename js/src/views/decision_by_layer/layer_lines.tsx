// The likely classes through the layers, each a line, in the columns of the other views.

import type { Signal } from "@preact/signals";
import { linear, type Scale } from "../../draw/scale";
import type { ModelInfo } from "../../protocol/schema";
import type { FollowedClass, LayerDecisions } from "../../state/layer_decisions";
import type { Store } from "../../state/store";
import { className, number, percent } from "../../state/words";
import { useWidth } from "../../ui/canvas";
import { consume, modified } from "../../ui/keys";
import { GAP, type LayerColumns, LEFT, layerColumns } from "../../ui/layer_columns";
import { moved } from "../../ui/roving";
import { shortened, spread } from "./line_labels";

const TOP = 16;
const BASE = 176;
const HEIGHT = BASE + 34;
const LINE = 14;

interface Props {
  store: Store;
  info: ModelInfo;
  decisions: LayerDecisions;
  /** The layer under the pointer, or null. */
  pointed: Signal<number | null>;
  /** What the layer says, aloud. */
  said: (layer: number) => string;
}

export const colorOf = (slot: number) => `var(--vaw-${slot < 0 ? "other" : `class-${slot}`})`;

export const valueSays = (info: ModelInfo, value: number) =>
  info.output === "value" ? number(value) : percent(value);

function heights(info: ModelInfo, lines: readonly FollowedClass[]): Scale {
  const all = lines.flatMap(({ now, before }) => [...now, ...(before ?? [])]);
  const [low, high] = [Math.min(0, ...all), Math.max(1e-9, ...all)];
  // Probabilities are drawn up to 1, unless none is anywhere near it.
  const top = info.output !== "value" && high > 0.6 ? 1 : high;
  return linear(low, top, BASE, TOP, 3);
}

export function LayerLines({ store, info, decisions, pointed, said }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(640);
  const columns = layerColumns(available, decisions.layers);
  const y = heights(info, decisions.lines);
  const selected = store.traits.selected_layer.value;
  const layerUnder = (event: MouseEvent) =>
    columns.layerAt(event.clientX - (event.currentTarget as Element).getBoundingClientRect().left);
  const onKeyDown = (event: KeyboardEvent) => {
    const to = moved(event.key, { row: 0, col: selected }, 1, decisions.layers);
    if (!to || modified(event)) return;
    consume(event);
    store.set({ selected_layer: to.col });
  };
  return (
    <div
      ref={ref}
      class="vaw-chart vaw-layer-lines"
      role="slider"
      tabIndex={0}
      aria-label="layer"
      aria-valuemin={0}
      aria-valuemax={decisions.layers - 1}
      aria-valuenow={selected}
      aria-valuetext={said(selected)}
      onKeyDown={onKeyDown}
    >
      <svg
        width={columns.right + GAP}
        height={HEIGHT}
        style={{ maxWidth: "none" }}
        aria-hidden="true"
        data-testid="layer-lines"
        onPointerMove={(event) => {
          pointed.value = layerUnder(event);
        }}
        onPointerLeave={() => {
          pointed.value = null;
        }}
        onClick={(event) => store.set({ selected_layer: layerUnder(event) })}
      >
        <Column columns={columns} layer={selected} fill="var(--vaw-panel)" />
        <Axes info={info} y={y} columns={columns} selected={selected} layers={decisions.layers} />
        {pointed.value !== null && (
          <line
            x1={columns.middle(pointed.value)}
            x2={columns.middle(pointed.value)}
            y1={TOP}
            y2={BASE}
            stroke="var(--vaw-muted)"
            stroke-dasharray="2 3"
          />
        )}
        {decisions.lines.map((line) => (
          <Line key={line.index} line={line} columns={columns} y={y} decisions={decisions} />
        ))}
        {decisions.lines.map(({ index, now }) => {
          const layer = pointed.value ?? selected;
          return (
            <circle
              key={index}
              cx={columns.middle(layer)}
              cy={y.at(now[layer] ?? 0)}
              r="3.5"
              fill={colorOf(decisions.slot(index))}
              stroke="var(--vaw-bg)"
            />
          );
        })}
        <EndLabels info={info} decisions={decisions} columns={columns} y={y} />
      </svg>
    </div>
  );
}

function Column({ columns, layer, fill }: { columns: LayerColumns; layer: number; fill: string }) {
  const width = columns.width - GAP;
  return (
    <rect
      x={columns.middle(layer) - width / 2}
      width={width}
      y={TOP}
      height={BASE - TOP}
      fill={fill}
    />
  );
}

function Axes(props: {
  info: ModelInfo;
  y: Scale;
  columns: LayerColumns;
  selected: number;
  layers: number;
}) {
  const { info, y, columns, selected, layers } = props;
  const every = Math.ceil(18 / columns.width);
  return (
    <g>
      {y.ticks.map((value) => (
        <g key={`y ${value}`}>
          <line
            x1={LEFT}
            x2={columns.right}
            y1={y.at(value)}
            y2={y.at(value)}
            stroke="var(--vaw-line)"
          />
          <text x={0} y={y.at(value) - 3}>
            {valueSays(info, value)}
          </text>
        </g>
      ))}
      {Array.from(
        { length: layers },
        (_, layer) =>
          layer % every === 0 && (
            <text
              key={`layer ${layers} ${layer}`}
              x={columns.middle(layer)}
              y={BASE + 14}
              text-anchor="middle"
              style={layer === selected ? "fill: var(--vaw-fg); font-weight: 600" : ""}
            >
              {layer}
            </text>
          ),
      )}
      <text x={LEFT} y={BASE + 30}>
        after layer
      </text>
    </g>
  );
}

function Line(props: {
  line: FollowedClass;
  columns: LayerColumns;
  y: Scale;
  decisions: LayerDecisions;
}) {
  const { line, columns, y, decisions } = props;
  const stroke = colorOf(decisions.slot(line.index));
  const points = (values: Float32Array) =>
    Array.from(values, (value, layer) => `${columns.middle(layer)},${y.at(value)}`).join(" ");
  return (
    <g fill="none" stroke={stroke} stroke-linejoin="round">
      {line.before && (
        <polyline fill="none" points={points(line.before)} stroke-dasharray="3 3" opacity="0.75" />
      )}
      <polyline
        fill="none"
        points={points(line.now)}
        stroke-width={line.index === decisions.target ? 3 : 1.8}
      />
    </g>
  );
}

/** Of the lines that end high, above their ends; the values below the chart name the others. */
function EndLabels(props: {
  info: ModelInfo;
  decisions: LayerDecisions;
  columns: LayerColumns;
  y: Scale;
}) {
  const { info, decisions, columns, y } = props;
  const ends = decisions.lines
    .map(({ index, now }) => ({ index, at: y.at(now.at(-1) ?? 0) }))
    .filter(({ at }) => at < BASE - 0.15 * (BASE - TOP));
  const placed = spread(
    ends.map(({ at }) => at - 7),
    LINE,
    TOP - 4,
    BASE,
  );
  return (
    <g class="vaw-end-labels">
      {ends.map(({ index }, i) => (
        <text key={index} x={columns.right} y={placed[i]} text-anchor="end">
          {shortened(className(info, index), columns.right / 2)}
        </text>
      ))}
    </g>
  );
}
