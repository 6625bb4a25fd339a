// The Explorer: panels of one model and one image, linked, which can be opened, closed and arranged.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { ClassPicker } from "../../ui/class_picker";
import { calm } from "../../ui/motion";
import { entryOf, openPanels, USUAL, withOpen, without } from "./arrangement";
import { FullScreen } from "./full_screen";
import { PanelColumns } from "./panel_columns";
import { ViewChips } from "./view_chips";

function About({ store, info }: { store: Store; info: ModelInfo }) {
  const size = `${info.num_layers} layers × ${Math.max(...info.num_heads)} heads`;
  const facts = [info.image_name, info.name, size, `${info.rows} × ${info.cols} patches`];
  return (
    <div class="vaw-about">
      {info.num_classes > 1 ? (
        <ClassPicker store={store} info={info} />
      ) : (
        <span class="vaw-fact" title="what is explained">
          {store.decision.value?.target_name ?? "no class"}
        </span>
      )}
      <span class="vaw-muted vaw-facts" title={`image: ${info.preparation}`}>
        {facts.join(" · ")}
      </span>
      <FullScreen />
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
  const open = (id: string) => arrange(withOpen(panels, id), () => reveal(find(`panel-${id}`)));
  const move = (id: string, next: string[]) => {
    said.value = `${entryOf(id)?.title} is ${next.indexOf(id) + 1} of ${next.length}`;
    arrange(next, () => {
      find(`move-${id}`)?.focus({ preventScroll: true });
      reveal(find(`move-${id}`));
    });
  };
  const info = store.info.value;
  if (!info) return null;
  return (
    <div ref={root} class="vaw-explorer">
      <About store={store} info={info} />
      {panels.length > 0 ? (
        <PanelColumns store={store} panels={panels} onMove={move} onClose={close} />
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

/** Scroll as little as it takes to see an element. */
function reveal(element: HTMLElement | null | undefined): void {
  element?.scrollIntoView?.({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}
