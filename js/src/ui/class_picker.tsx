// Which class is explained: a box to search in, as ARIA's combobox pattern asks.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { ModelInfo } from "../protocol/schema";
import type { Store } from "../state/store";
import { className } from "../state/words";

const SHOWN = 12;

interface ClassOption {
  /** null is the predicted class, whichever that is. */
  index: number | null;
  name: string;
}

const PREDICTED: ClassOption = { index: null, name: "the predicted class" };

/** Classes whose name holds the text, those that begin with it first; a number finds its class. */
export function search(info: ModelInfo, text: string): ClassOption[] {
  const wanted = text.trim().toLowerCase();
  const all = Array.from({ length: info.num_classes }, (_, index) => ({
    index,
    name: className(info, index),
  }));
  if (wanted === "") return all.slice(0, SHOWN);
  const starts = ({ name }: { name: string }) => name.toLowerCase().startsWith(wanted);
  return all
    .filter(({ index, name }) => name.toLowerCase().includes(wanted) || String(index) === wanted)
    .sort((a, b) => Number(starts(b)) - Number(starts(a)) || a.index - b.index)
    .slice(0, SHOWN);
}

interface Props {
  store: Store;
  info: ModelInfo;
  label?: string;
  hint?: string;
  /** What stands there while nobody types. */
  shown?: string;
  testid?: string;
  /** What becomes of the class; by default it is explained, and may be the predicted one. */
  onChoose?: (index: number) => void;
}

/** "heart", or "heart (predicted)" where whichever class is predicted is explained. */
function explainedName(store: Store): string {
  const decision = store.decision.value;
  if (!decision) return "";
  return decision.follows_prediction ? `${decision.target_name} (predicted)` : decision.target_name;
}

export function ClassPicker({
  store,
  info,
  label = "explain",
  hint = "The class that the maps and bars explain; type to search",
  shown = explainedName(store),
  testid = "class-picker",
  onChoose,
}: Props) {
  const text = useSignal<string | null>(null);
  const active = useSignal(0);
  const input = useRef<HTMLInputElement>(null);
  const open = text.value !== null;
  const likely = (store.decision.value?.rows ?? []).map(({ index, name }) => ({ index, name }));
  const wanted = text.value?.trim().toLowerCase() ?? "";
  const predicted = !onChoose && PREDICTED.name.includes(wanted) ? [PREDICTED] : [];
  const options = [...predicted, ...(wanted === "" ? likely : search(info, wanted))];
  const choose = (index: number | null) => {
    text.value = null;
    if (index === null || !onChoose) store.set({ target: index });
    else onChoose(index);
    input.current?.blur();
  };
  const onKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape") text.value = null;
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      active.value = (active.value + step + options.length) % Math.max(1, options.length);
    } else if (event.key === "Enter") {
      const chosen = options[active.value];
      if (chosen) choose(chosen.index);
    } else return;
    event.preventDefault();
  };
  return (
    <label class="vaw-field vaw-picker">
      <span>{label}</span>
      <input
        ref={input}
        role="combobox"
        data-testid={testid}
        aria-expanded={open}
        aria-controls={`vaw-${testid}`}
        aria-autocomplete="list"
        title={hint}
        value={text.value ?? shown}
        onFocus={(event) => {
          text.value = "";
          active.value = 0;
          event.currentTarget.select();
        }}
        onBlur={() => {
          text.value = null;
        }}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          active.value = 0;
        }}
        onKeyDown={onKey}
      />
      {open && (
        <ul id={`vaw-${testid}`} role="listbox" class="vaw-options" aria-label="classes">
          {options.map((option, i) => (
            <li
              key={option.index}
              role="option"
              aria-selected={i === active.value}
              tabIndex={-1}
              onPointerDown={(event) => {
                event.preventDefault();
                choose(option.index);
              }}
            >
              {option.name} <span class="vaw-muted">{option.index ?? "whichever it is"}</span>
            </li>
          ))}
          {options.length === 0 && <li class="vaw-muted">no such class</li>}
        </ul>
      )}
    </label>
  );
}
