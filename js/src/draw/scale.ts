// A linear axis: where a value lies, and the round numbers beside it.

export interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

/** Maps [low, high] to [from, to]; an empty range is widened. */
export function linear(low: number, high: number, from: number, to: number, count = 4): Scale {
  const span = high - low || 1;
  const placeOf = (value: number) => from + ((value - low) / span) * (to - from);
  const step = niceStep(span / count);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= low + span + 1e-9 * span; i++) {
    ticks.push(i * step);
  }
  return { at: placeOf, ticks };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

/** As few digits as tell ticks apart; six characters at the most, so that an axis has room for it. */
export function tick(value: number, step: number): string {
  if (Math.abs(value) < Math.abs(step) / 2) return "0";
  const size = Math.abs(value);
  const digits = Math.max(0, -Math.floor(Math.log10(Math.abs(step) || 1) + 1e-9));
  const text =
    digits > 3 || size >= 1e5 ? size.toExponential(0).replace("e+", "e") : size.toFixed(digits);
  return `${value < 0 ? "−" : ""}${text.replace("e-", "e−")}`;
}
