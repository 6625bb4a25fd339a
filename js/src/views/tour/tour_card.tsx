// A step of a tour: what there is to know, one thing to do, and the answer once it is done.

import { useEffect, useRef } from "preact/hooks";
import type { TourStep } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { filled, waitedFor } from "../../state/tour";
import { consume, modified } from "../../ui/keys";
import { sinksSay } from "../../ui/sink_note";

/** `begun` is what the step waits for, as it was when the step began. */
export function TourCard(props: { store: Store; step: TourStep; begun: string }) {
  const { store, step, begun } = props;
  const card = useRef<HTMLElement>(null);
  const read = useRef({ text: "", task: "" });
  const info = store.info.value;
  const steps = store.traits._tour.value ?? [];
  const index = store.traits.tour_step.value ?? 0;
  const done = step.waits_for.length === 0 || waitedFor(store, step) !== begun;
  useEffect(() => card.current?.focus({ preventScroll: true }), [index]);
  const sinks = info && sinksSay(store, info);
  const fill = (text: string) => filled(store, text, sinks);
  // What was asked stays as it was asked, though the answer changes what it names.
  if (!done || !read.current.text) read.current = { text: fill(step.text), task: fill(step.do) };
  const go = (to: number) => store.set({ tour_step: to >= steps.length ? -1 : Math.max(0, to) });
  const onKey = (event: KeyboardEvent) => {
    if (modified(event)) return;
    if (event.key === "ArrowRight" || event.key === "PageDown") go(index + 1);
    else if (event.key === "ArrowLeft" || event.key === "PageUp") go(index - 1);
    else if (event.key === "Escape") go(steps.length);
    else return;
    consume(event);
  };
  const last = index === steps.length - 1;
  return (
    <section
      ref={card}
      class="vaw-tour"
      aria-label={`tour, step ${index + 1} of ${steps.length}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a step is read from its beginning
      tabIndex={0}
      data-testid="tour"
      onKeyDown={onKey}
    >
      <p>{read.current.text}</p>
      {step.do && (
        <p class="vaw-tour-do">
          <span aria-hidden="true">{done ? "✓" : "→"}</span> {read.current.task}
        </p>
      )}
      <p class="vaw-tour-answer" role="status" data-testid="tour-answer">
        {done ? fill(step.answer) : ""}
      </p>
      <div class="vaw-tour-steps">
        <span class="vaw-muted">
          {index + 1} of {steps.length}
        </span>
        <button
          type="button"
          data-testid="tour-back"
          disabled={index === 0}
          onClick={() => go(index - 1)}
        >
          back
        </button>
        <button
          type="button"
          class={done ? "vaw-primary" : ""}
          data-testid="tour-next"
          onClick={() => go(index + 1)}
        >
          {last ? "done" : "next"}
        </button>
        {!last && (
          <button type="button" data-testid="tour-leave" onClick={() => go(steps.length)}>
            leave the tour
          </button>
        )}
      </div>
    </section>
  );
}
