// Pictures as the model takes them: the scenes of the page, and those that a visitor brings.

import { at } from "./numbers";
import { bytes } from "./tensors";

/** A picture that is looked at. */
export interface Picture {
  name: string;
  /** [channel, row, col], normalized. */
  input: Float32Array;
  pixels: ImageData;
}

/** What the page holds of its scenes. */
export interface Scenes {
  /** [scene, row, col, channel], RGB. */
  pixels: DataView;
  names: string[];
  labels: number[];
  side: number;
  mean: number;
  deviation: number;
}

const THUMBNAIL = 48;

export function scenePicture(scenes: Scenes, index: number): Picture {
  const { side, names } = scenes;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const place = (index * side * side + i) * 3 + channel;
      image.data[4 * i + channel] = scenes.pixels.getUint8(place);
    }
    image.data[4 * i + 3] = 255;
  }
  return pictureOf(scenes, names[index] ?? `scene ${index}`, image);
}

/** A file as the model sees it: its middle square, made as small as a scene by the browser. */
export async function ownPicture(scenes: Scenes, name: string, file: Blob): Promise<Picture> {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${name} is no picture that this browser can read.`);
  });
  const image = resized(bitmap, bitmap.width, bitmap.height, scenes.side);
  bitmap.close();
  return pictureOf(scenes, name, image);
}

function pictureOf({ mean, deviation }: Scenes, name: string, pixels: ImageData): Picture {
  const count = pixels.width * pixels.height;
  const input = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = at(pixels.data, 4 * i + channel) / 255;
      input[channel * count + i] = (value - mean) / deviation;
    }
  }
  return { name, input, pixels };
}

function resized(image: CanvasImageSource, width: number, height: number, side: number): ImageData {
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser cannot draw pictures.");
  const square = Math.min(width, height);
  context.fillStyle = "#fff"; // below what is transparent
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  const [left, top] = [(width - square) / 2, (height - square) / 2];
  context.drawImage(image, left, top, square, square, 0, 0, side, side);
  return context.getImageData(0, 0, side, side);
}

/** As a file, without loss. */
export async function png({ pixels }: Picture): Promise<DataView> {
  return new DataView(await (await canvasOf(pixels).convertToBlob()).arrayBuffer());
}

export function thumbnails(pictures: Picture[]) {
  const data = new Uint8Array(pictures.length * THUMBNAIL * THUMBNAIL * 3);
  pictures.forEach(({ pixels }, p) => {
    const { width, height } = pixels;
    const small = resized(canvasOf(pixels), width, height, THUMBNAIL).data;
    const start = p * THUMBNAIL * THUMBNAIL;
    for (let i = 0; i < THUMBNAIL * THUMBNAIL; i++) {
      for (let c = 0; c < 3; c++) data[(start + i) * 3 + c] = at(small, 4 * i + c);
    }
  });
  return { thumbnails: bytes([pictures.length, THUMBNAIL, THUMBNAIL, 3], data) };
}

function canvasOf(pixels: ImageData): OffscreenCanvas {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return canvas;
}
