// Labels at the ends of lines: as near to them as may be, and never over each other.

/** Heights for labels that want to stand at `wanted`, at least `gap` apart, within [low, high]. */
export function spread(wanted: readonly number[], gap: number, low: number, high: number) {
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const heights = new Array<number>(wanted.length);
  // Down from the top, each below the one before; then back up from the bottom where that is too far.
  let last = low - gap;
  for (const i of order) {
    last = Math.max(wanted[i] ?? 0, last + gap);
    heights[i] = last;
  }
  let next = high + gap;
  for (const i of order.reverse()) {
    next = Math.min(heights[i] ?? 0, next - gap);
    heights[i] = next;
  }
  return heights;
}

/** A name that fits into so many pixels of a chart's text. */
export function shortened(name: string, pixels: number): string {
  const letters = Math.floor(pixels / 6.4);
  return name.length <= letters ? name : `${name.slice(0, Math.max(1, letters - 1)).trimEnd()}…`;
}
