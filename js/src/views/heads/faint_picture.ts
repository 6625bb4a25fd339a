// The picture in gray over every head, so that one sees where in it they look.

import { type Area, boxOfPicture } from "../../draw/area";
import type { Box } from "../../draw/heatmap";

/** It stays as it is from click to click: all of it is made once, and laid over in one piece. */
interface Laid {
  key: string;
  canvas: HTMLCanvasElement;
}

const laid = new WeakMap<ImageBitmap, Laid>();

/** Lays the picture over these boxes, which are of one size; patches fill each, on an area of it. */
export function layFaint(
  context: CanvasRenderingContext2D,
  picture: ImageBitmap,
  area: Area,
  boxes: readonly Box[],
): void {
  const { width, height } = context.canvas;
  const placed = context.getTransform();
  const key = JSON.stringify([width, height, area, placed, boxes.length, boxes[0], boxes.at(-1)]);
  let kept = laid.get(picture);
  if (kept?.key !== key) {
    kept = { key, canvas: overlay(picture, area, boxes, width, height, placed) };
    laid.set(picture, kept);
  }
  context.save();
  context.resetTransform();
  context.globalCompositeOperation = "screen";
  context.globalAlpha = 0.3;
  context.drawImage(kept.canvas, 0, 0);
  context.restore();
}

function overlay(
  picture: ImageBitmap,
  area: Area,
  boxes: readonly Box[],
  width: number,
  height: number,
  placed: DOMMatrix,
): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context?.setTransform(placed);
  for (const { x, y, width, height } of boxes) {
    context?.drawImage(inGrey(picture, area, width, height), x, y, width, height);
  }
  return canvas;
}

const gray = new WeakMap<ImageBitmap, Laid>();

function inGrey(
  picture: ImageBitmap,
  area: Area,
  width: number,
  height: number,
): HTMLCanvasElement {
  const kept = gray.get(picture);
  const key = JSON.stringify([Math.ceil(width), Math.ceil(height), area]);
  if (kept?.key === key) return kept.canvas;
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width);
  canvas.height = Math.ceil(height);
  const context = canvas.getContext("2d");
  if (context) {
    const { x, y, width, height } = boxOfPicture(area, canvas.width, canvas.height);
    context.drawImage(picture, x, y, width, height);
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "gray";
    context.fillRect(x, y, width, height);
  }
  gray.set(picture, { key, canvas });
  return canvas;
}
