// The whole attention matrix of one head: its scales, its largest values, and what lies above a
// threshold.

export interface Matrix {
  /** [query, key] flat. */
  values: Float32Array;
  tokens: number;
  /** Tokens before the first patch. */
  prefix: number;
}

export interface Link {
  query: number;
  key: number;
  value: number;
}

const isPrefix = ({ tokens, prefix }: Matrix, at: number) =>
  at % tokens < prefix || at < prefix * tokens;

/** Largest value among the patches, and in the band of the prefix tokens: a scale each. */
export function scales(matrix: Matrix): { patches: number; band: number } {
  let patches = 0;
  let band = 0;
  matrix.values.forEach((value, at) => {
    if (isPrefix(matrix, at)) band = Math.max(band, value);
    else patches = Math.max(patches, value);
  });
  return { patches, band };
}

/** The value that a share of all entries exceeds. */
export function exceededBy({ values }: Matrix, share: number): number {
  const rising = values.slice().sort();
  const rank = Math.min(rising.length - 1, Math.floor(rising.length * (1 - share)));
  return rising[Math.max(0, rank)] ?? 0;
}

/** Entries of at least `threshold`, the largest first, at most so many. */
export function linksAbove(matrix: Matrix, threshold: number, most: number): Link[] {
  const { values, tokens } = matrix;
  const links: Link[] = [];
  values.forEach((value, at) => {
    if (value >= threshold && value > 0) {
      links.push({ query: Math.floor(at / tokens), key: at % tokens, value });
    }
  });
  links.sort((a, b) => b.value - a.value);
  return links.slice(0, most);
}

export const BINS = 40;
/** The histogram's first bin ends here; below it attention hardly differs from none. */
const LOWEST = 1e-5;

/** Place of a value on the logarithmic axis of the histogram, 0 to 1. */
export function placeOf(value: number): number {
  if (value <= LOWEST) return 0;
  return Math.min(1, 1 - Math.log10(Math.min(1, value)) / Math.log10(LOWEST));
}

/** The opposite of `placeOf`. */
export function valueAt(place: number): number {
  return 10 ** ((1 - place) * Math.log10(LOWEST));
}

/** How many entries lie in each bin of the logarithmic axis. */
export function histogramOf({ values }: Matrix): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor(placeOf(value) * BINS));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}
