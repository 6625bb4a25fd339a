// Classes to compare beside the likely ones.

import type { ModelInfo } from "../../protocol/schema";
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
          data-tip="remove this class"
          data-testid={`added-${index}`}
          onClick={() => onChange(classes.filter((c) => c !== index))}
        >
          {className(info, index)} ×
        </button>
      ))}
    </>
  );
}
