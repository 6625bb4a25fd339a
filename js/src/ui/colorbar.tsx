// A scale beside every colour.

import { gradient } from "../draw/colormaps";
import type { Colormap } from "../protocol/schema";
import { number } from "../state/words";

interface Props {
  low: number;
  high: number;
  colormap: Colormap | "diverging";
  label: string;
  hint?: string;
}

export function ColorBar({ low, high, colormap, label, hint }: Props) {
  return (
    <div class="vaw-colorbar" title={hint}>
      <span>{number(low)}</span>
      <span
        class="vaw-colorbar-strip"
        role="img"
        aria-label={`colours from ${number(low)} to ${number(high)}`}
        style={{ background: gradient(colormap) }}
      />
      <span>{number(high)}</span>
      <span class="vaw-muted">{label}</span>
    </div>
  );
}
