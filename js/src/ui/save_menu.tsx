// Takes a panel home: as a picture, a drawing, or its numbers.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { download, pngOf } from "../draw/figures";
import { figureOf } from "../draw/panel_figure";

interface Props {
  name: string;
  /** The numbers as CSV, where there are some. */
  table?: (() => string) | undefined;
}

/** Stands in what it saves: a panel, or a folded part of one. */
export function SaveMenu({ name, table }: Props) {
  const open = useSignal(false);
  const failed = useSignal("");
  const menu = useRef<HTMLSpanElement>(null);
  const figure = () => {
    const part = menu.current?.closest<HTMLElement>(".vaw-fold, .vaw-panel");
    return part ? figureOf(part) : null;
  };
  const ways: Record<string, () => void> = {
    PNG: async () => {
      const drawing = figure();
      if (!drawing) return;
      const picture = await pngOf(drawing.svg, drawing.width, drawing.height).catch(() => null);
      if (picture) download(`${name}.png`, picture);
      else failed.value = "This browser could not draw the PNG; SVG may work.";
    },
    SVG: () => download(`${name}.svg`, figure()?.svg ?? ""),
    ...(table && { CSV: () => download(`${name}.csv`, table()) }),
  };
  return (
    <span ref={menu} class="vaw-save">
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
