// Which color is which class; pressing one shows its images alone.

import type { Signal } from "@preact/signals";
import type { ModelInfo } from "../../protocol/schema";
import type { Group } from "../../state/overview";
import { className, moreClasses } from "../../state/words";

interface Props {
  info: ModelInfo;
  groups: readonly Group[];
  /** Images that have no color, and the number of their classes. */
  others: number;
  classes: number;
  /** Images that the model gives another class than their label. */
  wrong: number;
  /** How those are marked. */
  mark: "corner" | "hollow";
  only: Signal<number | null>;
}

export function ImageLegend({ info, groups, others, classes, wrong, mark, only }: Props) {
  const entry = (slot: number, name: string, count: number) => (
    <button
      type="button"
      class="vaw-chip vaw-class"
      key={slot}
      aria-pressed={only.value === slot}
      data-tip={`show only these ${count} images`}
      onClick={() => {
        only.value = only.peek() === slot ? null : slot;
      }}
    >
      <i style={{ background: slot < 0 ? "var(--vaw-other)" : `var(--vaw-class-${slot})` }} />
      <span class="vaw-class-name">{name}</span> <span class="vaw-muted">{count}</span>
    </button>
  );
  return (
    <div class="vaw-chips" data-testid="image-legend">
      {groups.map(({ index, count }, slot) => entry(slot, className(info, index), count))}
      {others > 0 && groups.length > 0 && entry(-1, moreClasses(classes), others)}
      {others > 0 && groups.length === 0 && (
        <span class="vaw-muted">{classes} classes of one image each: none has a color</span>
      )}
      {wrong > 0 && (
        <span class="vaw-muted vaw-wrong">
          <i class={`vaw-wrong-${mark}`} /> the model is wrong: {wrong}
        </span>
      )}
    </div>
  );
}
