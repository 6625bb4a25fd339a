// A map of attention patterns: the heads of a set of images as points, those alike near each other.

import type { Decoded } from "../protocol/safetensors";
import type {
  FamilyName,
  PatternMap as PatternMapTensors,
  PatternPictures,
  PatternsHere,
} from "../protocol/schema";

/** Pictures of attention, one after another, each relative to its largest value: 255. */
export interface Pictures {
  bytes: Uint8Array;
  height: number;
  width: number;
}

export interface PatternMap {
  family: FamilyName;
  /** [point, 2] flat, from -1 to 1; image by image, each with the heads in order. */
  points: Float32Array;
  /** Cluster of each point. */
  labels: Uint8Array;
  /** Distance of heads from each other, over all images, [head, head] flat. */
  distances: Float32Array;
  /** Mean pattern of each cluster. */
  clusters: Pictures;
}

/** Where the heads of the image that is looked at lie on a map. */
export interface Here {
  points: Float32Array;
  labels: Uint8Array;
}

export function picturesOf({ tensors: { pictures } }: Decoded<PatternPictures>): Pictures {
  return {
    bytes: pictures.data,
    height: pictures.shape[1] ?? 0,
    width: pictures.shape[2] ?? 0,
  };
}

export function patternMapOf(family: FamilyName, decoded: Decoded<PatternMapTensors>): PatternMap {
  const { points, labels, distances } = decoded.tensors;
  return {
    family,
    points: points.data,
    labels: labels.data,
    distances: distances.data,
    clusters: picturesOf(decoded),
  };
}

export function hereOf(family: FamilyName, decoded: Decoded<PatternsHere> | null): Here | null {
  const points = decoded?.tensors[`${family}_points`];
  const labels = decoded?.tensors[`${family}_labels`];
  return points && labels ? { points: points.data, labels: labels.data } : null;
}

/** The heads most like one, the nearest first: their places in the order of heads. */
export function alike(distances: Float32Array, count: number, index: number, most: number) {
  return Array.from({ length: count }, (_, other) => other)
    .filter((other) => other !== index)
    .map((other) => ({ other, distance: distances[index * count + other] ?? Number.NaN }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most);
}

/** The point nearest to a place, if it is within reach; -1 if none is. */
export function nearestPoint(points: Float32Array, x: number, y: number, reach: number): number {
  let nearest = -1;
  let best = reach * reach;
  for (let i = 0; i < points.length / 2; i++) {
    const dx = (points[2 * i] ?? 0) - x;
    const dy = (points[2 * i + 1] ?? 0) - y;
    const far = dx * dx + dy * dy;
    if (far <= best) {
      best = far;
      nearest = i;
    }
  }
  return nearest;
}

/** The points inside a polygon of [x, y, x, y, ...]. */
export function inside(points: Float32Array, polygon: readonly number[]): number[] {
  const enclosed: number[] = [];
  const corners = polygon.length / 2;
  for (let i = 0; i < points.length / 2; i++) {
    const x = points[2 * i] ?? 0;
    const y = points[2 * i + 1] ?? 0;
    let within = false;
    for (let a = 0, b = corners - 1; a < corners; b = a++) {
      const [ax = 0, ay = 0] = [polygon[2 * a], polygon[2 * a + 1]];
      const [bx = 0, by = 0] = [polygon[2 * b], polygon[2 * b + 1]];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
    }
    if (within) enclosed.push(i);
  }
  return enclosed;
}

const CELLS = 20;

/** Where each cluster is densest: its name stands there, also if it lies in several islands. */
export function clusterPlaces(map: PatternMap, count: number): [x: number, y: number][] {
  const sums = new Float32Array(count * CELLS * CELLS * 3);
  const cell = (value: number) => Math.max(0, Math.min(CELLS - 1, ((value + 1) / 2) * CELLS)) | 0;
  for (let i = 0; i < map.labels.length; i++) {
    const [x, y] = [map.points[2 * i] ?? 0, map.points[2 * i + 1] ?? 0];
    const index = 3 * (((map.labels[i] ?? 0) * CELLS + cell(y)) * CELLS + cell(x));
    for (const [k, value] of [1, x, y].entries()) sums[index + k] = (sums[index + k] ?? 0) + value;
  }
  return Array.from({ length: count }, (_, label) => {
    const start = 3 * label * CELLS * CELLS;
    let best = start;
    for (let index = start; index < start + 3 * CELLS * CELLS; index += 3) {
      if ((sums[index] ?? 0) > (sums[best] ?? 0)) best = index;
    }
    const [n = 0, x = 0, y = 0] = sums.subarray(best, best + 3);
    return n > 0 ? [x / n, y / n] : [0, 0];
  });
}

/** The points of one cluster. */
export function pointsOf(map: PatternMap, label: number): Float32Array {
  const places: number[] = [];
  for (let i = 0; i < map.labels.length; i++) {
    if (map.labels[i] === label) places.push(map.points[2 * i] ?? 0, map.points[2 * i + 1] ?? 0);
  }
  return new Float32Array(places);
}
