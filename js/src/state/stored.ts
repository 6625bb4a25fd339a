// A folder that a long run fills with numbers of images: what it says, in the browser's terms.

import type { Decoded } from "../protocol/safetensors";
import type {
  ModelInfo,
  StoredHeads,
  StoredHeadsMetadata,
  StoredInfo,
  StoredPoints,
  StoredPointsMetadata,
} from "../protocol/schema";
import type { Importance } from "./results";
import { counted, many } from "./words";

export type StoredHeadsData = Decoded<StoredHeads, StoredHeadsMetadata>;
export type StoredPointsData = Decoded<StoredPoints, StoredPointsMetadata>;

export function storedOf(value: StoredInfo | Record<string, never>): StoredInfo | null {
  return "folder" in value ? (value as StoredInfo) : null;
}

/** The mean over its images, or over those of the class that is shown, as an importance of heads. */
export function meanImportance(heads: StoredHeadsData | null): Importance | null {
  if (!heads) return null;
  const { mean, class_mean } = heads.tensors;
  return {
    metric: heads.metadata.quantity,
    values: (class_mean ?? mean).data,
    estimate: null,
    heads: mean.shape[1] ?? 0,
    baseline: Number.NaN,
    ofValue: false,
  };
}

/** Points of a folder, as they are drawn. */
export interface Cloud {
  /** Flat, two numbers each; the part that is shown at first reaches from -1 to 1 in height. */
  places: Float32Array;
  /** Class of each point; NO_CLASS where none is known. */
  classes: Uint16Array;
  /** Image of each point. */
  images: Uint32Array;
  /** How many images there are; points may be fewer. */
  total: number;
  /** Share of the variance that the plane shows. */
  share: number;
  /** From a part of the map to a part of the kernel's plane. */
  box: (left: number, right: number, bottom: number, top: number) => KernelBox;
}

export interface KernelBox {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

export const NO_CLASS = 65_535;
/** One axis may be stretched so much more than the other to fill the canvas. */
const STRETCH = 1.5;

/** Points for a canvas so many times as wide as high. */
export function cloudOf(decoded: StoredPointsData | null, wide: number): Cloud | null {
  if (!decoded) return null;
  const { places, classes, images } = decoded.tensors;
  const numberOf = (name: keyof StoredPointsMetadata) => Number(decoded.metadata[name]);
  const half = [
    (numberOf("home_right") - numberOf("home_left")) / 2,
    (numberOf("home_top") - numberOf("home_bottom")) / 2,
  ];
  const [across, up] = [wide / (half[0] || 1), 1 / (half[1] || 1)];
  const [sx, sy] = [Math.min(across, STRETCH * up), Math.min(up, STRETCH * across)];
  const middleX = (numberOf("home_right") + numberOf("home_left")) / 2;
  const middleY = (numberOf("home_top") + numberOf("home_bottom")) / 2;
  const [stepX, stepY] = [
    ((numberOf("right") - numberOf("left")) / 65_535) * sx,
    ((numberOf("top") - numberOf("bottom")) / 65_535) * sy,
  ];
  const [firstX, firstY] = [(numberOf("left") - middleX) * sx, (numberOf("bottom") - middleY) * sy];
  const flat = new Float32Array(places.data.length);
  for (let i = 0; i < flat.length; i += 2) {
    flat[i] = firstX + (places.data[i] ?? 0) * stepX;
    flat[i + 1] = firstY + (places.data[i + 1] ?? 0) * stepY;
  }
  return {
    places: flat,
    classes: classes.data,
    images: images?.data ?? Uint32Array.from({ length: classes.data.length }, (_, i) => i),
    total: numberOf("total"),
    share: numberOf("share"),
    box: (left, right, bottom, top) => ({
      left: left / sx + middleX,
      right: right / sx + middleX,
      bottom: bottom / sy + middleY,
      top: top / sy + middleY,
    }),
  };
}

/** The point nearest to a place, -1 where none is within reach. */
export function nearestIn({ places }: Cloud, x: number, y: number, reach: number): number {
  let best = -1;
  let least = reach * reach;
  for (let i = 0; i < places.length; i += 2) {
    const [dx, dy] = [(places[i] ?? 0) - x, (places[i + 1] ?? 0) - y];
    const far = dx * dx + dy * dy;
    if (far <= least) {
      least = far;
      best = i / 2;
    }
  }
  return best;
}

/** "1 image", "12,288 images". */
export const imagesOf = (count: number) => counted(count, "image").replace(/^\d+/, many(count));

/** What a quantity of a folder is called. */
export function quantityName(info: ModelInfo, quantity: string): string {
  const metric = info.metrics.find(({ key }) => key === quantity);
  return metric?.label ?? quantity.replaceAll("_", " ");
}

/** "12,288 of 50,000 images, 84 images a second". */
export function howFar(stored: StoredInfo, now: number | null = Date.now() / 1000): string {
  const { count, total, rate, last } = stored;
  if (count === 0) return "No images yet: they come 256 at a time.";
  const images = imagesOf(count);
  if (count === total) return images;
  const there = total === null ? `${images} so far` : `${many(count)} of ${many(total)} images`;
  if (now === null) return there;
  if (rate > 0) {
    const left = total === null ? "" : `, ${duration((total - count) / rate)} left`;
    return `${there}, ${rate < 10 ? rate.toFixed(1) : many(Math.round(rate))} images a second${left}`;
  }
  return total === null && now - last < 20
    ? there
    : `${there}; the last ones came ${duration(Math.max(0, now - last))} ago`;
}

/** "40 seconds", "12 minutes", "3 hours". */
export function duration(seconds: number): string {
  if (seconds < 90) return counted(Math.round(seconds), "second");
  if (seconds < 5400) return counted(Math.round(seconds / 60), "minute");
  if (seconds < 172_800) return counted(Math.round(seconds / 3600), "hour");
  return counted(Math.round(seconds / 86_400), "day");
}
