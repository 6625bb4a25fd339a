// Paints tens of thousands of images as dots: straight into pixels, so that a frame takes
// milliseconds however many there are.

import { themeOf } from "../../draw/theme";
import { COLOURS } from "../../state/overview";
import type { Cloud } from "../../state/stored";
import { inSight, projection, type Window } from "../../ui/use_zoom";

/** Of a dot, in pixels of the page. */
const SMALLEST = 2;
const LARGEST = 12;
/** Up to so many dots on the canvas are drawn as discs. */
const DISCS = 1500;

export interface CloudScene {
  cloud: Cloud;
  view: Window;
  /** Color of each point; COLOURS is gray. */
  slots: Uint8Array;
  /** Points of other classes than this are faint; -1 for none. */
  only: number;
  /** Image that is looked at, and the one under the pointer; -1 for none. */
  open: number;
  lit: number;
  /** Small pictures by image. */
  pictures: ReadonlyMap<number, CanvasImageSource>;
}

/** What was painted: the points within the canvas, and how large they are. */
export interface Painted {
  shown: number[];
  size: number;
}

/** So many times as wide as a dot is its picture. */
const PICTURE = 3;

/** Points within the canvas; of more than so many only their number counts. */
const LISTED = 4000;

interface Buffers {
  pixels: ImageData;
  words: Uint32Array;
  counts: Uint8Array;
}

const buffers = new WeakMap<HTMLCanvasElement, Buffers>();

function buffersOf(canvas: HTMLCanvasElement): Buffers {
  const kept = buffers.get(canvas);
  const { width, height } = canvas;
  if (kept?.pixels.width === width && kept.pixels.height === height) return kept;
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const made = { pixels, words, counts: new Uint8Array(width * height) };
  buffers.set(canvas, made);
  return made;
}

export function paintCloud(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  scene: CloudScene,
): Painted {
  const { places } = scene.cloud;
  const to = projection(scene.view, width, height);
  const shown: number[] = [];
  let within = 0;
  const { left, right, bottom, top } = inSight(scene.view, width, height);
  for (let i = 0; i < places.length; i += 2) {
    const [x, y] = [places[i] as number, places[i + 1] as number];
    if (x < left || x > right || y < bottom || y > top) continue;
    within += 1;
    if (within <= LISTED) shown.push(i / 2);
  }
  const room = 0.34 * Math.sqrt((width * height) / Math.max(1, within));
  const size = Math.max(SMALLEST, Math.min(LARGEST, room));
  if (within <= DISCS) paintDiscs(context, to, size, scene, shown);
  else paintPixels(context, width, height, size, scene);
  const marked = (image: number, ring: "fg" | "accent") => {
    const radius = scene.pictures.has(image) ? size * PICTURE * 0.75 : size / 2 + 4;
    const point = pointOf(scene.cloud, image);
    if (point < 0) return;
    const theme = themeOf(context.canvas);
    context.beginPath();
    context.arc(to.x(places[2 * point] ?? 0), to.y(places[2 * point + 1] ?? 0), radius, 0, 7);
    for (const [color, line] of [
      [theme("bg"), 4.5],
      [theme(ring), 2],
    ] as const) {
      context.strokeStyle = color;
      context.lineWidth = line;
      context.stroke();
    }
  };
  marked(scene.open, "fg");
  marked(scene.lit, "accent");
  return { shown: within <= LISTED ? shown : [], size };
}

/** The point of an image, -1 if it is not drawn. */
export function pointOf({ images }: Cloud, image: number): number {
  if (image < 0) return -1;
  if (images[image] === image) return image; // all are there, in order
  return images.indexOf(image);
}

/** So many pixels of the frame around a picture are in the color of its class. */
const FRAME = 2.5;

function paintDiscs(
  context: CanvasRenderingContext2D,
  to: ReturnType<typeof projection>,
  size: number,
  { cloud, slots, only, pictures }: CloudScene,
  shown: readonly number[],
): void {
  const theme = themeOf(context.canvas);
  for (const point of shown) {
    const [x, y] = [to.x(cloud.places[2 * point] ?? 0), to.y(cloud.places[2 * point + 1] ?? 0)];
    const slot = slots[point] as number;
    context.globalAlpha = only >= 0 && cloud.classes[point] !== only ? 0.15 : 0.9;
    context.fillStyle = theme(slot === COLOURS ? "other" : `class-${slot}`);
    const picture = pictures.get(cloud.images[point] ?? -1);
    if (picture) {
      const side = size * PICTURE;
      context.fillRect(x - side / 2, y - side / 2, side, side);
      const inner = side - 2 * FRAME;
      context.drawImage(picture, x - inner / 2, y - inner / 2, inner, inner);
      continue;
    }
    context.beginPath();
    context.arc(x, y, size / 2, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** How strong a pixel is with so many dots on it, 0 to 255. */
const STRENGTH = Uint8Array.from({ length: 256 }, (_, n) => 255 * (1 - 0.45 ** n));
const FAINT = 0.12;

function paintPixels(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  size: number,
  { cloud, view, slots, only }: CloudScene,
): void {
  const { canvas } = context;
  const ratio = canvas.width / width;
  const { pixels, words, counts } = buffersOf(canvas);
  const [w, h] = [canvas.width, canvas.height];
  const side = Math.max(1, Math.round(size * ratio));
  const to = projection(view, width, height);
  const [stepX, stepY] = [to.scale * ratio, -to.scale * ratio];
  const [startX, startY] = [to.x(0) * ratio - side / 2, to.y(0) * ratio - side / 2];
  const theme = themeOf(canvas);
  const colors = Uint32Array.from({ length: COLOURS + 1 }, (_, slot) =>
    wordOf(theme(slot === COLOURS ? "other" : `class-${slot}`)),
  );
  const { places, classes } = cloud;
  words.fill(0);
  const draw = (wanted: boolean, strength: number) => {
    counts.fill(0);
    for (let i = 0; i < classes.length; i++) {
      if (only >= 0 && (classes[i] === only) !== wanted) continue;
      const x = (startX + (places[2 * i] as number) * stepX) | 0;
      const y = (startY + (places[2 * i + 1] as number) * stepY) | 0;
      if (x < 0 || y < 0 || x + side > w || y + side > h) continue;
      const color = colors[slots[i] as number] as number;
      for (let row = y * w + x, last = row + side * w; row < last; row += w) {
        for (let pixel = row; pixel < row + side; pixel++) {
          const count = counts[pixel] as number;
          if (count < 255) counts[pixel] = count + 1;
          words[pixel] = ((strength * (STRENGTH[count + 1] ?? 255)) << 24) | color;
        }
      }
    }
  };
  if (only >= 0) draw(false, FAINT);
  draw(true, 1);
  context.putImageData(pixels, 0, 0);
}

/** "#rrggbb" as a pixel without its opacity. */
function wordOf(color: string): number {
  const value = Number.parseInt(color.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}
