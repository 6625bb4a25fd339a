// Layers are columns, heads are rows: how much more, or less, each head matters without the pruned.

import type { ModelInfo } from "../../protocol/schema";
import type { Change, Changes } from "../../state/changes";
import { headKey, isHead } from "../../state/heads";
import type { Store } from "../../state/store";
import { headName, number } from "../../state/words";
import { useWidth } from "../../ui/canvas";
import { headWalk } from "../../ui/head_walk";
import { GAP, type LayerColumns, layerColumns } from "../../ui/layer_columns";

const TOP = 18;
const TALLEST = 24;
/** From this share of the largest change on the number stands in the cell, where it has room. */
const NUMBERED = 0.2;
const ROOM = 42;

interface Props {
  store: Store;
  info: ModelInfo;
  changes: Changes;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`;
}

/** Two digits, for a cell. */
function short(value: number): string {
  return `${value < 0 ? "−" : "+"}${Number(Math.abs(value).toPrecision(2))}`;
}

export function changeSays({ head, before, after, growth }: Change): string {
  const name = headName(...head);
  if (!Number.isFinite(growth)) return `${name}, not measured before and after`;
  return `${name}: importance ${number(before)} → ${number(after)} (${signed(growth)})`;
}

export function ChangeGrid({ store, info, changes }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>(640);
  const columns = layerColumns(available, info.num_layers);
  const height = Math.min(TALLEST, Math.max(14, columns.width * 0.5));
  const rows = Math.max(...info.num_heads);
  const heads = changes.heads.map(({ head }) => head);
  const of = (layer: number, head: number) =>
    changes.heads.find((change) => isHead(change.head, [layer, head]));
  const said = (_: Store, layer: number, head: number) => {
    const change = of(layer, head);
    if (store.pruned.peek().has(layer, head)) return `${headName(layer, head)}, pruned`;
    return change ? changeSays(change) : headName(layer, head);
  };
  return (
    <div ref={ref} class="vaw-chart vaw-changes-grid" {...headWalk(store, heads, said)}>
      <svg
        width={columns.right + GAP}
        height={TOP + rows * (height + GAP)}
        style={{ maxWidth: "none" }}
        aria-hidden="true"
        data-testid="change-grid"
        onPointerLeave={() => {
          store.hoveredHead.value = null;
        }}
      >
        {info.num_heads.map((_, layer) => (
          <text
            key={`layer ${info.num_layers} ${layer}`}
            x={columns.middle(layer)}
            y={TOP - 6}
            text-anchor="middle"
          >
            {layer}
          </text>
        ))}
        {Array.from({ length: rows }, (_, head) => (
          <text
            key={`head ${rows} ${head}`}
            x={9}
            y={TOP + head * (height + GAP) + height / 2 + 4}
            text-anchor="middle"
          >
            {head}
          </text>
        ))}
        {changes.heads.map((change) => (
          <Cell
            key={headKey(...change.head)}
            store={store}
            change={change}
            changes={changes}
            columns={columns}
            height={height}
          />
        ))}
      </svg>
    </div>
  );
}

interface CellProps {
  store: Store;
  change: Change;
  changes: Changes;
  columns: LayerColumns;
  height: number;
}

function Cell({ store, change, changes, columns, height }: CellProps) {
  const [layer, head] = change.head;
  const width = columns.width - GAP;
  const [x, y] = [columns.middle(layer) - width / 2, TOP + head * (height + GAP)];
  const box = { x, y, width, height, rx: 2 };
  const pruned = store.pruned.value.has(layer, head);
  const lit = isHead(store.shownHead.value, change.head);
  const share = Number.isFinite(change.growth) ? change.growth / changes.most : 0;
  const unknown = !pruned && !Number.isFinite(change.growth);
  const takes = changes.takeOver.includes(change);
  const numbered = width >= ROOM && Math.abs(share) >= NUMBERED;
  return (
    <g
      data-testid={`change-${layer}-${head}`}
      class="vaw-change"
      onPointerEnter={() => {
        store.hoveredHead.value = [layer, head];
      }}
      onClick={() => store.set({ selected_layer: layer, selected_head: head })}
    >
      <title>{pruned ? `${headName(layer, head)}, pruned` : changeSays(change)}</title>
      <rect
        {...box}
        fill={unknown ? "none" : "var(--vaw-panel)"}
        stroke="var(--vaw-line)"
        stroke-dasharray={unknown ? "2 3" : "none"}
      />
      <rect
        {...box}
        fill={`var(--vaw-${share >= 0 ? "hurts" : "helps"})`}
        fill-opacity={Math.abs(share) ** 0.8}
      />
      {pruned && (
        <path
          d={`M${x + 3} ${y + 3}L${x + width - 3} ${y + height - 3}M${x + width - 3} ${y + 3}L${x + 3} ${y + height - 3}`}
          stroke="var(--vaw-muted)"
          stroke-width="1.5"
        />
      )}
      {numbered && (
        <text
          x={x + width / 2}
          y={y + height / 2 + 4}
          text-anchor="middle"
          class={Math.abs(share) > 0.8 ? "vaw-on-strong" : ""}
        >
          {short(change.growth)}
        </text>
      )}
      {(takes || lit) && (
        <rect
          x={x - 1}
          y={y - 1}
          width={width + 2}
          height={height + 2}
          rx="3"
          fill="none"
          stroke={lit ? "var(--vaw-accent)" : "var(--vaw-fg)"}
          stroke-width={lit ? 2 : 1.5}
        />
      )}
    </g>
  );
}
