// Small controls that several views share.

import { useSignal } from "@preact/signals";
import { type ComponentChildren, createContext } from "preact";
import { useContext, useRef } from "preact/hooks";
import { consume } from "./keys";
import { SaveMenu } from "./save_menu";

interface Option<T extends string> {
  key: T;
  label: string;
  hint?: string;
}

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** One of a few, side by side. */
export function Segmented<T extends string>(props: {
  label: string;
  options: readonly Option<T>[];
  value: T;
  onChange: (value: T) => void;
  testid?: string;
}) {
  const count = props.options.length;
  const index = Math.max(
    0,
    props.options.findIndex((option) => option.key === props.value),
  );
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    consume(event);
    const next = props.options[(index + step + count) % count];
    const group = event.currentTarget as HTMLElement;
    if (next) props.onChange(next.key);
    (group.children[(index + step + count) % count] as HTMLElement | undefined)?.focus();
  };
  return (
    <div
      class="vaw-segmented"
      role="radiogroup"
      aria-label={props.label}
      data-testid={props.testid}
      onKeyDown={move}
    >
      {props.options.map((option, i) => (
        <button
          type="button"
          role="radio"
          key={option.key}
          data-tip={option.hint}
          aria-checked={option.key === props.value}
          tabIndex={i === index ? 0 : -1}
          onClick={() => props.onChange(option.key)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

/** A drop-down with its label. */
export function Select(props: {
  label: string;
  value: string;
  options: readonly { key: string; label: string; hint?: string }[];
  onChange: (value: string) => void;
  testid?: string;
}) {
  const shown = useRef(props.value);
  shown.current = props.value;
  return (
    <label class="vaw-field">
      <span>{props.label}</span>
      <select
        value={props.value}
        data-testid={props.testid}
        data-tip={props.options.find(({ key }) => key === props.value)?.hint}
        onChange={(event) => {
          const select = event.currentTarget;
          props.onChange(select.value);
          // What could not be chosen is not shown as if it were.
          queueMicrotask(() => {
            select.value = shown.current;
          });
        }}
      >
        {props.options.map((option) => (
          <option key={option.key} value={option.key}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What a widget that arranges its panels puts beside their titles. */
export const BesideTitle = createContext<ComponentChildren>(null);

/** A titled part of a widget, with its controls at the right. */
export function Panel(props: {
  title: string;
  /** What there is to see, in a stranger's words; "" while there is nothing. */
  sees: string;
  note?: ComponentChildren;
  controls?: ComponentChildren;
  name: string;
  /** What its files are called; by default its name. */
  saves?: string;
  /** Its numbers as CSV. */
  table?: (() => string) | undefined;
  children: ComponentChildren;
}) {
  const beside = useContext(BesideTitle);
  return (
    <section class={`vaw-panel vaw-${props.name}`} aria-label={props.title}>
      <header class="vaw-panel-head">
        <h3>{props.title}</h3>
        {props.sees && (
          <button type="button" class="vaw-sees" aria-label="what you see" data-tip={props.sees}>
            i
          </button>
        )}
        {beside}
        <span class="vaw-muted vaw-note">{props.note}</span>
        <span class="vaw-controls">
          {props.controls}
          <SaveMenu name={props.saves ?? props.name} table={props.table} />
        </span>
      </header>
      <p class="vaw-sees-line vaw-muted">{props.sees}</p>
      {props.children}
    </section>
  );
}

/** A part of a panel that is folded away until it is wanted, and costs nothing until then. */
export function Fold(props: { title: string; testid: string; children: ComponentChildren }) {
  const open = useSignal(false);
  return (
    <section class="vaw-fold">
      <button
        type="button"
        class="vaw-fold-head"
        aria-expanded={open.value}
        data-testid={props.testid}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <span aria-hidden="true">{open.value ? "▾" : "▸"}</span> {props.title}
      </button>
      {open.value && props.children}
    </section>
  );
}
