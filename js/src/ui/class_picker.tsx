// Which class is explained: a box to search in, as ARIA's combobox pattern asks.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
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

/** "heart", or "heart (predicted)" where whichever class the whole model predicts is explained. */
function explainedName(store: Store): string {
  const decision = store.decision.value;
  if (!decision) return "";
  const { target_name: name, follows_prediction, target, rows } = decision;
  if (!follows_prediction) return name;
  const still = decision.target_after === null || rows[0]?.index === target;
  return still ? `${name} (predicted)` : `${name} (was predicted)`;
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
  const list = useRef<HTMLUListElement>(null);
  const open = text.value !== null;
  const id = `vaw-${testid}`;
  const show = () => {
    text.value = "";
    active.value = 0;
  };
  const likely = (store.decision.value?.rows ?? []).map(({ index, name }) => ({ index, name }));
  const wanted = text.value?.trim().toLowerCase() ?? "";
  const predicted = !onChoose && PREDICTED.name.includes(wanted) ? [PREDICTED] : [];
  const options = [...predicted, ...(wanted === "" ? likely : search(info, wanted))];
  const choose = (index: number | null) => {
    text.value = null;
    if (index === null || !onChoose) store.set({ target: index });
    else onChoose(index);
    input.current?.select(); // the focus stays: what is typed next asks for another class
  };
  useLayoutEffect(() => {
    list.current?.children[active.value]?.scrollIntoView?.({ block: "nearest" });
  }, [active.value]);
  const onKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    const arrow = event.key === "ArrowDown" || event.key === "ArrowUp";
    if (event.key === "Escape") text.value = null;
    else if (arrow && !open) show();
    else if (arrow) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      active.value = (active.value + step + options.length) % Math.max(1, options.length);
    } else if (event.key === "Enter" && open) {
      const chosen = options[active.value];
      if (chosen) choose(chosen.index);
    } else return;
    event.preventDefault();
  };
  return (
    <div class="vaw-field vaw-picker">
      <label class="vaw-muted" for={id}>
        {label}
      </label>
      <input
        ref={input}
        id={id}
        role="combobox"
        data-testid={testid}
        aria-expanded={open}
        aria-controls={open ? `${id}-list` : undefined}
        aria-activedescendant={
          open && options.length > 0 ? `${id}-option-${active.value}` : undefined
        }
        aria-autocomplete="list"
        data-tip={hint}
        value={text.value ?? shown}
        onFocus={(event) => {
          show();
          event.currentTarget.select();
        }}
        onClick={() => {
          if (!open) show();
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
        <ul ref={list} id={`${id}-list`} role="listbox" class="vaw-options" aria-label="classes">
          {options.map((option, i) => (
            <li
              key={option.index}
              role="option"
              id={`${id}-option-${i}`}
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
          {options.length === 0 && (
            <li
              role="option"
              aria-selected="false"
              aria-disabled="true"
              tabIndex={-1}
              class="vaw-muted"
            >
              no such class
            </li>
          )}
        </ul>
      )}
    </div>
  );
}
