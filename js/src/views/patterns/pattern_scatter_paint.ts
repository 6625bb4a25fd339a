// Paints the map of patterns: all heads in gray, this image's heads as dots, names and the lasso.

import { themeOf } from "../../draw/theme";
import type { Head } from "../../protocol/schema";
import type { HeadSet } from "../../state/heads";
import { projection, type Window } from "../../ui/use_zoom";
import { density, layerColor, paintDensity } from "./pattern_paint";

/** Pixels of the canvas to one of the gray ground, along each side. */
const GRAIN = 2;
/** Of a name from the sides of the canvas, in pixels. */
const MARGIN = 4;

/** Densities of all heads, kept until the window or the canvas changes. */
export interface Background {
  key: string;
  counts: Float32Array;
}

type Heads = Pick<HeadSet, "has">;

/** Points are flat, two numbers each, from -1 to 1. */
export interface Scene {
  view: Window;
  /** Of the heads of all images. */
  points: Float32Array;
  background: Background;
  /** Of the cluster that is pointed at. */
  litPoints: Float32Array;
  heads: readonly Head[];
  layers: number;
  /** Of this image's heads; null while they are not placed. */
  herePoints: Float32Array | null;
  /** Which of this image's heads is looked at, or -1. */
  shown: number;
  pruned: Heads;
  brushed: Heads;
  /** Where the clusters' names stand. */
  places: readonly (readonly [number, number])[];
  names: readonly string[];
  /** The cluster whose name is bold, or -1. */
  cluster: number;
  lasso: readonly number[];
}

export function paintScatter(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  scene: Scene,
): void {
  const theme = themeOf(context.canvas);
  const [foreground, paper] = [theme("fg"), theme("bg")];
  const to = projection(scene.view, width, height);
  paintGround(context, width, height, scene);
  if (scene.herePoints) paintDots(context, scene, scene.herePoints, foreground, paper, to);
  label(context, width, foreground, paper, to, scene.places, scene.names, scene.cluster);
  outline(context, scene.lasso, foreground, to);
}

function paintGround(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  { view, points, background, litPoints }: Scene,
): void {
  const theme = themeOf(context.canvas);
  const [w, h] = [Math.ceil(width / GRAIN), Math.ceil(height / GRAIN)];
  const key = `${w} ${h} ${view.x} ${view.y} ${view.zoom}`;
  if (background.key !== key) {
    Object.assign(background, { key, counts: density(points, view, w, h) });
  }
  paintDensity(context, background.counts, w, h, GRAIN, theme("muted"));
  if (litPoints.length > 0) {
    paintDensity(context, density(litPoints, view, w, h), w, h, GRAIN, theme("hurts"));
  }
}

function paintDots(
  context: CanvasRenderingContext2D,
  { heads, layers, shown, pruned, brushed }: Scene,
  points: Float32Array,
  foreground: string,
  paper: string,
  to: Projection,
): void {
  const dot = (index: number, lit: boolean) => {
    const [layer, head] = heads[index] as Head;
    const [x, y] = [points[2 * index] ?? 0, points[2 * index + 1] ?? 0];
    context.beginPath();
    context.arc(to.x(x), to.y(y), lit ? 7 : 4.5, 0, 2 * Math.PI);
    context.fillStyle = pruned.has(layer, head) ? paper : layerColor(layer, layers);
    context.fill();
    context.lineWidth = lit ? 2.5 : brushed.has(layer, head) ? 2 : 0.75;
    context.strokeStyle = foreground;
    context.stroke();
  };
  for (let i = 0; i < heads.length; i++) if (i !== shown) dot(i, false);
  if (shown >= 0) dot(shown, true);
}

type Projection = ReturnType<typeof projection>;

function label(
  context: CanvasRenderingContext2D,
  width: number,
  foreground: string,
  paper: string,
  to: Projection,
  places: readonly (readonly [number, number])[],
  names: readonly string[],
  cluster: number,
): void {
  context.textAlign = "center";
  context.lineJoin = "round";
  const taken: [number, number, number][] = [];
  for (const [index, [x, y]] of places.entries()) {
    const lit = index === cluster;
    context.font = `${lit ? 600 : 400} 12px system-ui, sans-serif`;
    const name = names[index] ?? "";
    const half = context.measureText(name).width / 2;
    const middle = to.x(x);
    // of a place in sight the whole name is, where there is room for it
    const edge = Math.min(half + MARGIN, width / 2);
    const inside = middle >= 0 && middle <= width;
    const left = inside ? Math.max(edge, Math.min(width - edge, middle)) : middle;
    let top = to.y(y);
    // the largest clusters come first: a name that would hide another moves down
    while (taken.some(([a, b, c]) => Math.abs(a - left) < half + c && Math.abs(b - top) < 14)) {
      top += 14;
    }
    taken.push([left, top, half]);
    context.lineWidth = 4;
    context.strokeStyle = paper;
    context.globalAlpha = 0.85;
    context.strokeText(name, left, top);
    context.globalAlpha = 1;
    context.fillStyle = foreground;
    context.fillText(name, left, top);
  }
}

function outline(
  context: CanvasRenderingContext2D,
  polygon: readonly number[],
  color: string,
  to: Projection,
): void {
  if (polygon.length < 4) return;
  context.beginPath();
  for (let i = 0; i < polygon.length; i += 2) {
    context.lineTo(to.x(polygon[i] ?? 0), to.y(polygon[i + 1] ?? 0));
  }
  context.closePath();
  context.lineWidth = 1.5;
  context.strokeStyle = color;
  context.stroke();
}
