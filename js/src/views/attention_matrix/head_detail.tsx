// One head in full: its attention matrix, the links above a threshold, and how its values spread.

import { useComputed, useSignal } from "@preact/signals";
import { useCallback, useMemo } from "preact/hooks";
import { STREAMED_TOKENS } from "../../state/attention";
import { exceededBy, linksAbove, type Matrix, scales } from "../../state/matrix";
import type { Store } from "../../state/store";
import { matrixTable } from "../../state/tables";
import { headName, number, tokenName } from "../../state/words";
import { Canvas } from "../../ui/canvas";
import { ColorBar } from "../../ui/colorbar";
import { Panel } from "../../ui/controls";
import { paintLinks, paintMatrix } from "./head_detail_paint";
import { MatrixCanvas } from "./matrix_canvas";
import { ValueHistogram } from "./value_histogram";

const SEES =
  "All that one head attends to: each row is a patch that attends, each column a patch that is " +
  "attended to.";

/** Share of the entries that are drawn as links unless the user moves the threshold. */
const TOP = 0.01;
/** More lines than this are a blot. */
const MOST_LINKS = 2000;

export function HeadDetail({ store }: { store: Store }) {
  const { selected_layer, selected_head } = store.traits;
  const threshold = useSignal<number | null>(null);
  const matrix = useComputed(() =>
    store.attention.matrix(selected_layer.value, selected_head.value),
  );
  const usual = useComputed(() => (matrix.value ? exceededBy(matrix.value, TOP) : 0));
  const info = store.info.value;
  const shown = matrix.value;
  if (!info) return null;
  if (info.num_tokens > STREAMED_TOKENS) {
    return (
      <p class="vaw-muted">
        {info.num_tokens} tokens: the matrix is shown up to {STREAMED_TOKENS}. Click a patch to see
        its row in every head.
      </p>
    );
  }
  if (!shown) return <p class="vaw-muted">The matrix of this layer is on its way …</p>;
  const shownThreshold = threshold.value ?? usual.value;
  return (
    <Detail
      store={store}
      matrix={shown}
      threshold={shownThreshold}
      onThreshold={(value) => {
        threshold.value = value;
      }}
    />
  );
}

interface Props {
  store: Store;
  matrix: Matrix;
  threshold: number;
  onThreshold: (value: number | null) => void;
}

function Detail({ store, matrix, threshold, onThreshold }: Props) {
  const { selected_layer, selected_head, selected_token, colormap } = store.traits;
  const over = useSignal<readonly [query: number, key: number] | null>(null);
  const info = store.info.value;
  const scale = useMemo(() => scales(matrix), [matrix]);
  const links = useMemo(() => linksAbove(matrix, threshold, MOST_LINKS), [matrix, threshold]);
  const name = headName(selected_layer.value, selected_head.value);
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) =>
      paintLinks(context, width, height, matrix, links, selected_token.value),
    [matrix, links, selected_token],
  );
  const paintWhole = useCallback(
    (pixels: ImageData) => paintMatrix(pixels, matrix, scale, colormap.value),
    [matrix, scale, colormap],
  );
  if (!info) return null;
  const [query, key] = over.value ?? [selected_token.value, -1];
  const value = matrix.values[query * matrix.tokens + key];
  return (
    <div class="vaw-beside vaw-detail" data-testid="head-detail">
      <div class="vaw-stack">
        <p class="vaw-reads" data-testid="matrix-says">
          {key < 0 || value === undefined
            ? `${name}: rows are queries, columns are keys`
            : `${tokenName(info, query)} gives ${number(value)} to ${tokenName(info, key)}`}
        </p>
        <MatrixCanvas
          tokens={matrix.tokens}
          paint={paintWhole}
          query={selected_token.value}
          label={`attention matrix of ${name}`}
          onPoint={(place) => {
            over.value = place;
          }}
          onChoose={([chosen]) => store.set({ selected_token: chosen })}
        />
        <div class="vaw-row">
          <ColorBar low={0} high={scale.patches} colormap={colormap.value} label="patches" />
          {matrix.prefix > 0 && (
            <ColorBar low={0} high={scale.band} colormap="magma" label="prefix tokens" />
          )}
        </div>
      </div>
      <div class="vaw-stack">
        <Canvas
          aspect={0.45}
          paint={paint}
          label={`${links.length} links of at least ${number(threshold)}, queries above, keys below`}
          testid="links"
        />
        <ValueHistogram matrix={matrix} threshold={threshold} onThreshold={onThreshold} />
        <p class="vaw-muted" data-testid="links-say">
          {links.length === MOST_LINKS
            ? `the ${MOST_LINKS} strongest links`
            : `${links.length} links`}{" "}
          of at least {number(threshold)}; queries above, keys below, the chosen token's in color
        </p>
      </div>
    </div>
  );
}

export function HeadDetailView({ store }: { store: Store }) {
  const { selected_layer, selected_head } = store.traits;
  const head = headName(selected_layer.value, selected_head.value);
  const matrix = store.attention.matrix(selected_layer.value, selected_head.value) ?? undefined;
  return (
    <Panel
      title={`Attention matrix: ${head}`}
      sees={SEES}
      name="head-detail"
      saves="matrix"
      table={matrix && (() => matrixTable(matrix))}
    >
      <HeadDetail store={store} />
    </Panel>
  );
}
