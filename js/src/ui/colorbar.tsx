// A scale beside every color.

import { gradient } from "../draw/colormaps";
import type { Colormap } from "../protocol/schema";
import { number } from "../state/words";
import { explained } from "./tips";

interface Props {
  /** A value, or what stands for it. */
  low: number | string;
  high: number | string;
  /** "theme" is what helps to what hurts, over the panel's ground. */
  colormap: Colormap | "diverging" | "theme";
  label: string;
  hint?: string;
}

const THEME = "linear-gradient(to right, var(--vaw-helps), var(--vaw-panel), var(--vaw-hurts))";

const endText = (end: number | string) => (typeof end === "number" ? number(end) : end);

export function ColorBar({ low, high, colormap, label, hint }: Props) {
  return (
    <div class="vaw-colorbar" {...explained(hint)}>
      <span>{endText(low)}</span>
      <span
        class="vaw-colorbar-strip"
        role="img"
        aria-label={`colors from ${endText(low)} to ${endText(high)}`}
        style={{ background: colormap === "theme" ? THEME : gradient(colormap) }}
      />
      <span>{endText(high)}</span>
      <span class="vaw-muted">{label}</span>
    </div>
  );
}
