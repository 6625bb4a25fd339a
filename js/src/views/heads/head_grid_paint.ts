// All heads of all layers on one canvas: what each sees, and below it how much it matters.

import { type Box, limits } from "../../draw/heatmap";
import { themeOf } from "../../draw/theme";
import type { ModelInfo } from "../../protocol/schema";
import { pictureOf } from "../../state/pictures";
import { type Importance, importanceAt } from "../../state/results";
import { headRows, highOf, patchMap } from "../../state/shown_attention";
import type { Store } from "../../state/store";
import { paintPlain } from "../../ui/paint_overlay";
import { type HeadsInView, type Layout, SMALLEST_WITH_MARK } from "./head_grid_layout";

/** Largest |importance| that is known, at least a thousandth. */
export function importanceScale(importance: Importance | null): number {
  const [low, high] = limits(importance?.values ?? new Float32Array());
  return Math.max(Math.abs(low), Math.abs(high), 1e-3);
}

/** The picture in grey, to be laid over heads so that one sees where in it they look. */
function faint(picture: ImageBitmap, width: number, height: number): HTMLCanvasElement {
  const known = faintPictures.get(picture);
  if (known?.width === Math.ceil(width) && known.height === Math.ceil(height)) return known;
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width);
  canvas.height = Math.ceil(height);
  const context = canvas.getContext("2d");
  if (context) {
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "gray";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  faintPictures.set(picture, canvas);
  return canvas;
}

const faintPictures = new WeakMap<ImageBitmap, HTMLCanvasElement>();

/** The heads that are in view; the context's origin is that of the whole grid. */
export function paintHeads(
  context: CanvasRenderingContext2D,
  store: Store,
  info: ModelInfo,
  layout: Layout,
  { layers, heads }: HeadsInView,
): void {
  const theme = themeOf(context.canvas);
  const [hurts, helps, muted, line] = [
    theme("hurts"),
    theme("helps"),
    theme("muted"),
    theme("line"),
  ];
  const picture = pictureOf(store).value;
  const importance = store.importance.value;
  const scale = importanceScale(importance);
  const guessScale = limits(importance?.estimate ?? new Float32Array())[1] || 1;
  const { rows, high: shared } = headRows(store);
  const own = store.headScale.value === "own";
  for (const { layer, head, row } of rows) {
    if (layer < layers[0] || layer >= layers[1] || head < heads[0] || head >= heads[1]) continue;
    const x = layout.left + layer * layout.cellWidth;
    const y = layout.top + head * layout.cellHeight;
    const pruned = store.pruned.value.has(layer, head);
    const box = { x, y, ...layout.thumbnail };
    context.fillStyle = muted;
    context.globalAlpha = 0.15;
    context.fillRect(box.x, box.y, box.width, box.height);
    context.globalAlpha = 1;
    if (row) {
      const high = own ? highOf(store, info, layer, row) : shared;
      paintPlain(context, box, store, patchMap(info, { values: row, high }), pruned ? 0.2 : 1);
      if (picture) {
        context.globalCompositeOperation = "screen";
        context.globalAlpha = 0.3;
        context.drawImage(faint(picture, box.width, box.height), x, y, box.width, box.height);
        context.globalCompositeOperation = "source-over";
        context.globalAlpha = 1;
      }
      for (const sink of store.attention.sinks(layer)) {
        if ((row[sink] ?? 0) > high) ring(context, box, info, sink - info.prefix.length);
      }
    }
    const value = importanceAt(importance, layer, head);
    const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
    const bar = (share: number, colour: string) => {
      const { above, height } = layout.bar;
      context.fillStyle = colour;
      context.fillRect(x, y + box.height + above, Math.max(1, share * box.width), height);
    };
    if (pruned) cross(context, box, hurts);
    else if (Number.isFinite(value)) bar(Math.abs(value) / scale, value >= 0 ? hurts : helps);
    else if (Number.isFinite(guess)) {
      context.globalAlpha = 0.35; // not known yet: the gradient's estimate, on its own scale
      bar(guess / guessScale, hurts);
      context.globalAlpha = 1;
    } else if (layout.cellWidth < SMALLEST_WITH_MARK && info.metrics.length > 0) bar(1, line);
    if (store.brush.has(layer, head)) {
      context.strokeStyle = theme("accent");
      const thick = Math.min(3, layout.cellWidth / 8);
      context.lineWidth = thick;
      context.strokeRect(x + thick / 2, y + thick / 2, box.width - thick, box.height - thick);
    }
  }
}

/** Marks a sink whose color says too little. */
function ring(context: CanvasRenderingContext2D, box: Box, info: ModelInfo, patch: number): void {
  const radius = Math.max(2, Math.min(5, box.width / info.cols / 2));
  const x = box.x + (((patch % info.cols) + 0.5) / info.cols) * box.width;
  const y = box.y + ((Math.floor(patch / info.cols) + 0.5) / info.rows) * box.height;
  for (const [color, width] of [
    ["black", 2.5],
    ["white", 1],
  ] as const) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

function cross(context: CanvasRenderingContext2D, box: Box, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(box.x + 3, box.y + 3);
  context.lineTo(box.x + box.width - 3, box.y + box.height - 3);
  context.moveTo(box.x + box.width - 3, box.y + 3);
  context.lineTo(box.x + 3, box.y + box.height - 3);
  context.stroke();
}
