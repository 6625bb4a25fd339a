// Paints the matrix of a head, one pixel an entry, and its links as lines.

import { colormap } from "../../draw/colormaps";
import { themeOf } from "../../draw/theme";
import type { Colormap } from "../../protocol/schema";
import type { Link, Matrix } from "../../state/matrix";

/** Patches in the chosen colors; the band of the prefix tokens in its own, on its own scale. */
export function paintMatrix(
  { data }: ImageData,
  { values, tokens, prefix }: Matrix,
  scale: { patches: number; band: number },
  name: Colormap,
): void {
  const patches = colormap(name);
  const band = colormap("magma");
  for (let i = 0; i < values.length; i++) {
    const inBand = i % tokens < prefix || i < prefix * tokens;
    const high = inBand ? scale.band : scale.patches;
    const level = high > 0 ? (values[i] ?? 0) / high : 0;
    const from = Math.max(0, Math.min(255, Math.round(level * 255))) * 3;
    const table = inBand ? band : patches;
    data[i * 4] = table[from] ?? 0;
    data[i * 4 + 1] = table[from + 1] ?? 0;
    data[i * 4 + 2] = table[from + 2] ?? 0;
    data[i * 4 + 3] = 255;
  }
}

const EDGE = 10;

/** Queries above, keys below; those of the chosen token in color. */
export function paintLinks(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  matrix: Matrix,
  links: readonly Link[],
  chosen: number,
): void {
  const color = themeOf(context.canvas);
  const x = (token: number) => ((token + 0.5) / matrix.tokens) * width;
  const strongest = links[0]?.value ?? 1;
  const draw = (link: Link, stroke: string, least: number) => {
    context.globalAlpha = Math.max(least, link.value / strongest);
    context.strokeStyle = stroke;
    context.beginPath();
    context.moveTo(x(link.query), EDGE);
    context.lineTo(x(link.key), height - EDGE);
    context.stroke();
  };
  context.lineWidth = 1;
  for (const link of links) {
    if (link.query !== chosen) draw(link, color("muted"), 0.06);
  }
  context.lineWidth = 1.5;
  for (const link of links) {
    if (link.query === chosen) draw(link, color("hurts"), 0.4);
  }
  context.globalAlpha = 1;
  const tick = Math.max(1, width / matrix.tokens - 1);
  for (const [y, queries] of [
    [2, true],
    [height - 6, false],
  ] as const) {
    for (let token = 0; token < matrix.tokens; token++) {
      const lit = queries && token === chosen;
      context.fillStyle = color(lit ? "hurts" : token < matrix.prefix ? "accent" : "line");
      context.fillRect(x(token) - tick / 2, y, lit ? Math.max(3, tick) : tick, 4);
    }
  }
}
