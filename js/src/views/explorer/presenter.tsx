// Presentation: one panel at a time, in large type, without controls; arrow keys go on.

import { entryOf } from "./arrangement";

interface Props {
  panels: readonly string[];
  at: number;
  onGo: (at: number) => void;
  onEnd: () => void;
}

export function Presenter({ panels, at, onGo, onEnd }: Props) {
  return (
    <nav class="vaw-presenter" aria-label="presentation">
      <button
        type="button"
        aria-label="panel before"
        disabled={at === 0}
        onClick={() => onGo(at - 1)}
      >
        ‹
      </button>
      <span class="vaw-muted">
        {entryOf(panels[at] ?? "")?.title}, {at + 1} of {panels.length}
      </span>
      <button
        type="button"
        aria-label="next panel"
        data-testid="present-next"
        disabled={at >= panels.length - 1}
        onClick={() => onGo(at + 1)}
      >
        ›
      </button>
      <button type="button" data-testid="present-end" data-tip="end (Escape)" onClick={onEnd}>
        end
      </button>
    </nav>
  );
}

/** Where a key leads among the panels of a presentation: a number, "end", or nowhere. */
export function presentKey(key: string, at: number, count: number): number | "end" | null {
  if (key === "Escape") return "end";
  if (key === "ArrowRight" || key === "PageDown") return Math.min(count - 1, at + 1);
  if (key === "ArrowLeft" || key === "PageUp") return Math.max(0, at - 1);
  return null;
}
