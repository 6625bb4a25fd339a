// Where images stand on the canvas, which one is near a point, and where the arrows lead.

export type Place = readonly [x: number, y: number];

export interface Size {
  width: number;
  height: number;
}

/** Images row by row, as large as fits. */
export function inOrder(total: number, { width, height }: Size): { places: Place[]; cell: number } {
  let cols = Math.max(1, Math.round(Math.sqrt((total * width) / height)));
  while (cols < total && (Math.ceil(total / cols) * width) / cols > height) cols++;
  const cell = Math.min(width / cols, height / Math.ceil(total / cols));
  const left = (width - cols * cell) / 2;
  const places = Array.from(
    { length: total },
    (_, i): Place => [left + ((i % cols) + 0.5) * cell, (Math.floor(i / cols) + 0.5) * cell],
  );
  return { places, cell };
}

/** One axis may be stretched so much more than the other to fill the canvas. */
const STRETCH = 1.5;

/** Points of the plane, y upwards, on a canvas with a margin; a single place is its middle. */
export function fitted(points: readonly Place[], { width, height }: Size, margin: number): Place[] {
  const range = (axis: 0 | 1) => {
    const values = points.map((point) => point[axis]);
    const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return [(low + high) / 2, high - low] as const;
  };
  const [x, wide] = range(0);
  const [y, high] = range(1);
  const free = [Math.max(1, width - 2 * margin), Math.max(1, height - 2 * margin)] as const;
  const across = wide > 0 ? free[0] / wide : Number.POSITIVE_INFINITY;
  const up = high > 0 ? free[1] / high : Number.POSITIVE_INFINITY;
  const scale = (own: number, other: number) => {
    const most = Math.min(own, STRETCH * other);
    return Number.isFinite(most) ? most : 0;
  };
  return points.map(
    ([px, py]): Place => [
      width / 2 + (px - x) * scale(across, up),
      height / 2 - (py - y) * scale(up, across),
    ],
  );
}

const ROUNDS = 60;

/** The same places, moved as little as it takes until squares of a size hardly overlap. */
export function apart(places: readonly Place[], size: number, { width, height }: Size): Place[] {
  const moved = places.map(([x, y]) => [x, y] as [number, number]);
  const clamp = (value: number, most: number) =>
    Math.max(size / 2, Math.min(most - size / 2, value));
  for (let round = 0, met = true; met && round < ROUNDS; round++) {
    met = false;
    for (let i = 0; i < moved.length; i++) {
      for (let j = i + 1; j < moved.length; j++) {
        const a = moved[i] as [number, number];
        const b = moved[j] as [number, number];
        const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
        const axis = Math.abs(dx) > Math.abs(dy) ? 0 : 1;
        const overlap = size - Math.abs(axis === 0 ? dx : dy);
        if (overlap <= 0.5) continue;
        met = true;
        const push = ((axis === 0 ? dx : dy) < 0 ? -1 : 1) * (overlap / 2);
        a[axis] -= push;
        b[axis] += push;
      }
    }
    for (const place of moved) {
      place[0] = clamp(place[0], width);
      place[1] = clamp(place[1], height);
    }
  }
  return moved;
}

/** The image nearest to a point, null where none is within reach. */
export function nearest(
  places: readonly Place[],
  x: number,
  y: number,
  reach: number,
): number | null {
  let best: number | null = null;
  let least = reach;
  places.forEach(([px, py], i) => {
    const far = Math.hypot(px - x, py - y);
    if (far <= least) {
      least = far;
      best = i;
    }
  });
  return best;
}

const STEPS: Record<string, Place> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where a key leads from an image; null for keys that lead nowhere. */
export function walk(places: readonly Place[], at: number, key: string): number | null {
  if (key === "Home") return 0;
  if (key === "End") return places.length - 1;
  const step = STEPS[key];
  const from = places[at];
  if (!step || !from) return null;
  let best = at;
  let least = Number.POSITIVE_INFINITY;
  places.forEach(([x, y], i) => {
    const [dx, dy] = [x - from[0], y - from[1]];
    const ahead = dx * step[0] + dy * step[1];
    const aside = Math.abs(dx * step[1]) + Math.abs(dy * step[0]);
    if (ahead < 0.5 || aside > 2 * ahead) return;
    const far = ahead + 2 * aside; // what lies straight ahead comes first
    if (far < least) {
      least = far;
      best = i;
    }
  });
  return best;
}
