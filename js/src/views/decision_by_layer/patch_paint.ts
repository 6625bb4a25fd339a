// The picture in gray, each patch in the color of the class that it would say by itself: the surer,
// the stronger.

import { boxOfPatch } from "../../draw/area";
import { themeOf } from "../../draw/theme";
import type { ModelInfo } from "../../protocol/schema";
import type { LayerDecisions } from "../../state/layer_decisions";

export function paintPatchClasses(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  info: ModelInfo,
  decisions: LayerDecisions,
  layer: number,
): void {
  const { patches, slot } = decisions;
  if (!patches) return;
  const theme = themeOf(context.canvas);
  context.save();
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "gray";
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "source-over";
  for (let patch = 0; patch < info.rows * info.cols; patch++) {
    const [first] = patches.best(layer, patch);
    if (!first) continue;
    const color = slot(first.index, layer);
    const sure = info.output === "value" ? 1 : Math.max(0, Math.min(1, first.value));
    context.globalAlpha = 0.15 + 0.6 * Math.sqrt(sure);
    context.fillStyle = theme(color < 0 ? "other" : `class-${color}`);
    const box = boxOfPatch(info, patch, width, height);
    const [x, y] = [Math.round(box.x), Math.round(box.y)]; // whole pixels: no seams
    const [right, bottom] = [Math.round(box.x + box.width), Math.round(box.y + box.height)];
    context.fillRect(x, y, right - x, bottom - y);
  }
  context.restore();
}
