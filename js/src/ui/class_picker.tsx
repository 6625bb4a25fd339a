// Which class is explained: a box to search in, as ARIA's combobox pattern asks.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ModelInfo } from "../protocol/schema";
import { searchClasses } from "../state/class_search";
import type { Store } from "../state/store";
import { classesOf, className, moreClasses } from "../state/words";

/** So many classes are listed; what is typed brings others. */
const LISTED = 30;

/** What stands in the list for whichever class the model predicts. */
const PREDICTED = "the predicted class";

const meansPredicted = (text: string) =>
  [PREDICTED, PREDICTED.replace("the ", "")].some((name) => name.startsWith(text));

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
  const open = text.value !== null;
  const id = `vaw-${testid}`;
  const wanted = text.value ?? "";
  const likely = (store.decision.value?.rows ?? []).map(({ index }) => index);
  const matches = open ? searchClasses(info, likely, wanted) : [];
  const offersPredicted = !onChoose && meansPredicted(wanted.trim().toLowerCase());
  const options = [...(offersPredicted ? [null] : []), ...matches.slice(0, LISTED)];
  const show = (typed: string | null) => {
    text.value = typed;
    active.value = 0;
  };
  const choose = (index: number | null) => {
    text.value = null;
    if (index === null || !onChoose) store.set({ target: index });
    else onChoose(index);
    input.current?.select(); // the focus stays: what is typed next asks for another class
  };
  const onKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    const arrow = event.key === "ArrowDown" || event.key === "ArrowUp";
    if (event.key === "Escape") text.value = null;
    else if (arrow && !open) show("");
    else if (arrow) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      active.value = (active.value + step + options.length) % Math.max(1, options.length);
    } else if (event.key === "Enter" && open) {
      const chosen = options[active.value];
      if (chosen !== undefined) choose(chosen);
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
        autocomplete="off"
        data-testid={testid}
        aria-expanded={open}
        aria-controls={open ? `${id}-list` : undefined}
        aria-activedescendant={
          open && options.length > 0 ? `${id}-option-${active.value}` : undefined
        }
        aria-autocomplete="list"
        aria-description={hint}
        data-tip={hint}
        placeholder={open ? shown : undefined}
        value={text.value ?? shown}
        onFocus={() => show("")}
        onClick={() => {
          if (!open) show("");
        }}
        onBlur={() => show(null)}
        onInput={(event) => show(event.currentTarget.value)}
        onKeyDown={onKey}
      />
      {open && (
        <>
          <Options
            id={id}
            info={info}
            options={options}
            others={Math.max(0, matches.length - LISTED)}
            active={active.value}
            onChoose={choose}
          />
          <span class="vaw-aloud" role="status">
            {wanted !== "" && classesOf(matches.length)}
          </span>
        </>
      )}
    </div>
  );
}

/** The classes that can be chosen; null is the predicted one, whichever that is. */
function Options(props: {
  id: string;
  info: ModelInfo;
  options: readonly (number | null)[];
  /** How many more there are. */
  others: number;
  active: number;
  onChoose: (index: number | null) => void;
}) {
  const { id, info, options, others, active, onChoose } = props;
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    list.current?.children[active]?.scrollIntoView?.({ block: "nearest" });
  }, [active, options[0]]);
  const none = options.length === 0;
  return (
    <ul
      ref={list}
      id={`${id}-list`}
      role="listbox"
      class="vaw-options"
      aria-label="classes"
      // The focus stays where one types, also where the list is scrolled.
      onMouseDown={(event) => event.preventDefault()}
    >
      {options.map((index, i) => (
        <li
          key={index ?? PREDICTED}
          role="option"
          id={`${id}-option-${i}`}
          aria-selected={i === active}
          tabIndex={-1}
          onClick={() => onChoose(index)}
        >
          <span class="vaw-option">{index === null ? PREDICTED : className(info, index)}</span>
          <span class="vaw-muted">{index ?? "whichever it is"}</span>
        </li>
      ))}
      {(none || others > 0) && (
        <li
          key="others"
          role="option"
          aria-selected="false"
          aria-disabled="true"
          tabIndex={-1}
          class="vaw-muted"
        >
          {none ? "no such class" : `${moreClasses(others)}: type to find them`}
        </li>
      )}
    </ul>
  );
}
