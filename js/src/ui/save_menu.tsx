// Takes a figure home: as a picture, a drawing, or its numbers.

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { download, labelledCanvas, pngOf, svgFile } from "../draw/figures";

interface Props {
  /** What holds the figure: a drawing, or a canvas with labels. */
  figure: RefObject<HTMLElement>;
  name: string;
  /** The numbers as CSV. */
  table: () => string;
}

export function SaveMenu({ figure, name, table }: Props) {
  const open = useSignal(false);
  const failed = useSignal("");
  const drawing = (use: (svg: string, width: number, height: number) => void) => {
    const stage = figure.current;
    if (!stage) return;
    const shown = stage.querySelector<SVGSVGElement>("svg:not(.vaw-pictogram)");
    const element = shown ?? labelledCanvas(stage.querySelector(".vaw-heads-stage") ?? stage);
    if (!element) return;
    const svg = svgFile(element);
    const { width, height } = element.getBoundingClientRect();
    if (!shown) element.remove();
    use(svg, width, height);
  };
  const ways: Record<string, () => void> = {
    PNG: () =>
      drawing(async (svg, width, height) => {
        const picture = await pngOf(svg, width, height).catch(() => null);
        if (picture) download(`${name}.png`, picture);
        else failed.value = "This browser could not draw the PNG; SVG may work.";
      }),
    SVG: () => drawing((svg) => download(`${name}.svg`, svg)),
    CSV: () => download(`${name}.csv`, table()),
  };
  return (
    <span class="vaw-save">
      <button
        type="button"
        aria-expanded={open.value}
        data-testid={`save-${name}`}
        onClick={() => {
          open.value = !open.value;
          failed.value = "";
        }}
      >
        save
      </button>
      {failed.value && <span role="alert">{failed.value}</span>}
      {open.value &&
        Object.entries(ways).map(([label, save]) => (
          <button
            type="button"
            key={label}
            data-testid={`save-${name}-${label}`}
            onClick={() => {
              save();
              open.value = false;
            }}
          >
            {label}
          </button>
        ))}
    </span>
  );
}
