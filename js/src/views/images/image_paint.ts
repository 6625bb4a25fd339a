// Images as thumbnails framed in the color of their class, or as dots.

import type { Box } from "../../draw/heatmap";
import { themeOf } from "../../draw/theme";
import { pixelsOf } from "../../draw/thumbnails";
import type { Tensor } from "../../protocol/safetensors";
import type { Place } from "./image_places";

/** All thumbnails on one canvas, one below the other. */
export interface Atlas {
  canvas: HTMLCanvasElement;
  width: number;
  height: number;
}

export function atlasOf(tensor: Tensor | undefined): Atlas | null {
  const [count = 0, height = 0, width = 0] = tensor?.shape ?? [];
  if (!tensor || count * height * width === 0) return null;
  const canvas = document.createElement("canvas");
  // Side by side in rows: a canvas may be only so high.
  const across = Math.ceil(Math.sqrt(count));
  canvas.width = across * width;
  canvas.height = Math.ceil(count / across) * height;
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; i++) {
    const [x, y] = [(i % across) * width, Math.floor(i / across) * height];
    context?.putImageData(pixelsOf(tensor, i), x, y);
  }
  return { canvas, width, height };
}

export function drawThumbnail(
  context: CanvasRenderingContext2D,
  { canvas, width, height }: Atlas,
  image: number,
  box: Box,
): void {
  const across = Math.round(canvas.width / width);
  const [col, row] = [image % across, Math.floor(image / across)];
  context.imageSmoothingQuality = "high";
  context.drawImage(
    canvas, col * width, row * height, width, height, box.x, box.y, box.width, box.height,
  ); // biome-ignore format: what is cut out, and where it goes
}

export interface Scene {
  places: readonly Place[];
  /** Longer side of a thumbnail, or diameter of a dot. */
  size: number;
  atlas: Atlas | null;
  /** Color of each image; -1 is gray. */
  colors: readonly number[];
  wrong: (image: number) => boolean;
  /** The image that is looked at; -1 if it is none of these. */
  open: number;
  /** The image under the pointer. */
  lit: number | null;
  /** Only this color is shown in full. */
  only: number | null;
}

const FRAME = 2.5;

export function paintImages(context: CanvasRenderingContext2D, scene: Scene): void {
  const theme = themeOf(context.canvas);
  const fillOf = (slot: number) => theme(slot < 0 ? "other" : `class-${slot}`);
  const [fg, bg, hurts] = [theme("fg"), theme("bg"), theme("hurts")];
  const one = (image: number, scale: number, ring: string | null) => {
    const [x, y] = scene.places[image] ?? [0, 0];
    const slot = scene.colors[image] ?? -1;
    const faded = scene.only !== null && slot !== scene.only && ring === null;
    context.globalAlpha = faded ? 0.12 : 1;
    const wrong = scene.wrong(image);
    if (scene.atlas) {
      const longer = Math.max(scene.atlas.width, scene.atlas.height);
      const width = (scene.size * scale * scene.atlas.width) / longer;
      const height = (scene.size * scale * scene.atlas.height) / longer;
      const box = { x: x - width / 2, y: y - height / 2, width, height };
      around(context, box, ring, bg);
      context.fillStyle = fillOf(slot);
      context.fillRect(box.x, box.y, width, height);
      drawThumbnail(context, scene.atlas, image, inset(box, FRAME));
      if (wrong) corner(context, box, hurts, bg);
    } else dot(context, x, y, (scene.size / 2) * scale, fillOf(slot), wrong, ring, bg);
    context.globalAlpha = 1;
  };
  for (let image = 0; image < scene.places.length; image++) {
    if (image !== scene.open && image !== scene.lit) one(image, 1, null);
  }
  if (scene.open >= 0 && scene.open !== scene.lit) one(scene.open, 1.15, fg);
  if (scene.lit !== null) one(scene.lit, 1.3, scene.lit === scene.open ? fg : fillOf(-1));
}

function inset({ x, y, width, height }: Box, by: number): Box {
  return { x: x + by, y: y + by, width: width - 2 * by, height: height - 2 * by };
}

/** A gap in the color of the page, and a ring around it. */
function around(
  context: CanvasRenderingContext2D,
  box: Box,
  ring: string | null,
  bg: string,
): void {
  const fill = (color: string, by: number) => {
    const { x, y, width, height } = inset(box, -by);
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
  };
  if (ring) fill(ring, 4);
  if (ring) fill(bg, 1.5);
}

/** The mark of an image that the model gets wrong: a cut corner. */
function corner(context: CanvasRenderingContext2D, box: Box, hurts: string, bg: string): void {
  const right = box.x + box.width;
  const triangle = (size: number, color: string) => {
    context.fillStyle = color;
    context.beginPath();
    context.moveTo(right - size, box.y);
    context.lineTo(right, box.y);
    context.lineTo(right, box.y + size);
    context.fill();
  };
  const size = Math.max(8, box.width / 3);
  triangle(size + 2, bg);
  triangle(size, hurts);
}

/** A dot; hollow where the model is wrong. */
function dot(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  fill: string,
  hollow: boolean,
  ring: string | null,
  bg: string,
): void {
  const disc = (r: number, color: string) => {
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.fill();
  };
  if (ring) disc(radius + 4, ring);
  if (ring) disc(radius + 2, bg);
  disc(radius, fill);
  if (hollow) disc(radius - Math.max(1.2, radius / 3), bg);
}
