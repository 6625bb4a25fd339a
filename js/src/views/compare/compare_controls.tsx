// Controls of the compare view: classes to add, and scales whose ends are words.

import { gradient } from "../../draw/colormaps";
import type { Colormap, ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { className } from "../../state/words";
import { ClassPicker } from "../../ui/class_picker";

/** Classes beside the likely ones: a box to add one, and those that were added. */
export function Classes(props: {
  store: Store;
  info: ModelInfo;
  classes: number[];
  onChange: (classes: number[]) => void;
}) {
  const { store, info, classes, onChange } = props;
  return (
    <>
      <ClassPicker
        store={store}
        info={info}
        label="add a class"
        hint="A class to compare with the likely ones; type to search"
        shown=""
        testid="add-class"
        onChoose={(index) => onChange([...classes.filter((c) => c !== index), index])}
      />
      {classes.map((index) => (
        <button
          type="button"
          class="vaw-chip"
          key={index}
          title="take this class away"
          data-testid={`added-${index}`}
          onClick={() => onChange(classes.filter((c) => c !== index))}
        >
          {className(info, index)} ×
        </button>
      ))}
    </>
  );
}

/** A scale whose ends are words. */
export function Strip(props: {
  low: string;
  high: string;
  colours: Colormap | "diverging";
  label: string;
}) {
  const { low, high, colours, label } = props;
  return (
    <div class="vaw-colorbar">
      <span>{low}</span>
      <span
        class="vaw-colorbar-strip"
        role="img"
        aria-label={`colours from ${low} to ${high}`}
        style={{ background: gradient(colours) }}
      />
      <span>{high}</span>
      <span class="vaw-muted">{label}</span>
    </div>
  );
}
