// The Explorer: panels of one model and one image, linked, which can be opened, closed and arranged.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { tourStep } from "../../state/tour";
import { ClassPicker } from "../../ui/class_picker";
import { consume, modified } from "../../ui/keys";
import { explained } from "../../ui/tips";
import { TourCard } from "../tour/tour_card";
import { entryOf, openPanels, USUAL, withOpen, without } from "./arrangement";
import { FullScreen, fillScreen } from "./full_screen";
import { PanelColumns } from "./panel_columns";
import { Presenter, presentKey } from "./presenter";
import { reveal, revealAsItGrows } from "./reveal";
import { useTour } from "./use_tour";
import { ViewChips } from "./view_chips";

interface AboutProps {
  store: Store;
  info: ModelInfo;
  onPresent: (event: Event) => void;
}

function About({ store, info, onPresent }: AboutProps) {
  const touring = tourStep(store) !== null;
  const size = `${info.num_layers} layers × ${Math.max(...info.num_heads)} heads`;
  const facts = [info.image_name, info.name, size, `${info.rows} × ${info.cols} patches`];
  return (
    <div class="vaw-about">
      {info.num_classes > 1 ? (
        <ClassPicker store={store} info={info} />
      ) : (
        <span class="vaw-fact" {...explained("what is explained")}>
          {store.decision.value?.target_name ?? "no class"}
        </span>
      )}
      <span class="vaw-muted vaw-facts" {...explained(`image: ${info.preparation}`)}>
        {facts.join(" · ")}
      </span>
      <span class="vaw-tools">
        {!touring && (store.traits._tour.value ?? []).length > 0 && (
          <button
            type="button"
            data-testid="tour-begin"
            data-tip="a short tour of what there is to see, on this picture"
            onClick={() => store.set({ tour_step: 0 })}
          >
            tour
          </button>
        )}
        <button
          type="button"
          data-testid="present"
          data-tip="one panel at a time, in large type, for a projector"
          onClick={onPresent}
        >
          present
        </button>
        <FullScreen />
      </span>
    </div>
  );
}

export function Explorer({ store }: { store: Store }) {
  const root = useRef<HTMLDivElement>(null);
  const then = useRef<(() => void) | null>(null);
  const said = useSignal("");
  const panels = openPanels(store);
  // What is to be done once the panels stand where they should.
  useLayoutEffect(() => {
    then.current?.();
    then.current = null;
  });
  const find = (testid: string) =>
    root.current?.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
  const arrange = (next: readonly string[], after: () => void) => {
    then.current = after;
    store.set({ panels: [...next] });
  };
  const close = (id: string) =>
    arrange(without(panels, id), () => find(`view-${id}`)?.focus({ preventScroll: true }));
  const open = (id: string) =>
    arrange(withOpen(panels, id), () => revealAsItGrows(placeOf(find(`panel-${id}`))));
  const move = (id: string, next: string[]) => {
    said.value = `${entryOf(id)?.title} is ${next.indexOf(id) + 1} of ${next.length}`;
    arrange(next, () => {
      find(`move-${id}`)?.focus({ preventScroll: true });
      reveal(find(`move-${id}`));
    });
  };
  const begun = useTour(store, (panel) =>
    revealAsItGrows(panel ? placeOf(find(`panel-${panel}`)) : find("tour")),
  );
  const presented = useSignal<number | null>(null);
  const step = tourStep(store);
  const info = store.info.value;
  if (!info) return null;
  const card = step && <TourCard store={store} step={step} begun={begun.value} />;
  const slide = presented.value === null ? null : Math.min(presented.value, panels.length - 1);
  const alone = slide === null ? null : step?.panel || panels[slide];
  const onKey = (event: KeyboardEvent) => {
    const to =
      slide === null || modified(event) ? null : presentKey(event.key, slide, panels.length);
    if (to === null) return;
    presented.value = to === "end" ? null : to;
    consume(event);
  };
  return (
    <div
      ref={root}
      class={alone ? "vaw-explorer vaw-presenting" : "vaw-explorer"}
      tabIndex={-1}
      onKeyDown={onKey}
    >
      <About
        store={store}
        info={info}
        onPresent={(event) => {
          presented.value = 0;
          fillScreen(event.currentTarget as Element);
          root.current?.focus({ preventScroll: true });
        }}
      />
      {!step?.panel && card}
      {alone && slide !== null && !step && (
        <Presenter
          panels={panels}
          at={slide}
          onGo={(to) => {
            presented.value = to;
          }}
          onEnd={() => {
            presented.value = null;
          }}
        />
      )}
      {panels.length > 0 ? (
        <PanelColumns
          store={store}
          panels={alone ? [alone] : panels}
          toured={step?.panel ?? ""}
          card={card}
          onMove={move}
          onClose={close}
        />
      ) : (
        <p class="vaw-muted">Every view is closed: open one below.</p>
      )}
      <ViewChips
        panels={panels}
        onToggle={(id) => (panels.includes(id) ? close(id) : open(id))}
        onReset={() => arrange(USUAL, () => find("view-picture")?.focus())}
      />
      <span class="vaw-aloud" role="status">
        {said.value}
      </span>
    </div>
  );
}

/** Where a panel stands, with a tour's card above it; what stands there is replaced by its code. */
const placeOf = (panel: HTMLElement | null | undefined) =>
  panel?.closest<HTMLElement>("[data-panel]");
