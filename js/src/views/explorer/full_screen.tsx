// The whole screen for a widget, where the host allows it. Escape leaves it, as everywhere.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

/** The element that the host gave the widget, whether or not it has a tree of its own. */
function widgetOf(element: Element | null): Element | null {
  const tree = element?.getRootNode();
  return element?.closest(".vaw") ?? (tree instanceof ShadowRoot ? tree.host : null);
}

/** Gives the widget of an element the whole screen; what the host refuses stays as it is. */
export function fillScreen(element: Element | null): void {
  widgetOf(element)
    ?.requestFullscreen?.()
    .catch(() => undefined);
}

export function FullScreen() {
  const button = useRef<HTMLButtonElement>(null);
  const on = useSignal(false);
  useEffect(() => {
    const look = () => {
      // A host may keep the widget in a shadow tree, which knows what the document does not.
      const tree = widgetOf(button.current)?.getRootNode() as DocumentOrShadowRoot | undefined;
      on.value = (tree?.fullscreenElement ?? null) !== null;
    };
    document.addEventListener("fullscreenchange", look);
    return () => document.removeEventListener("fullscreenchange", look);
  }, [on]);
  if (!document.fullscreenEnabled) return null;
  const toggle = () => {
    if (on.peek()) document.exitFullscreen().catch(() => undefined);
    else fillScreen(button.current);
  };
  return (
    <button
      type="button"
      ref={button}
      data-testid="full-screen"
      aria-pressed={on.value}
      data-tip={on.value ? "leave full screen (Escape)" : "use the whole screen"}
      onClick={toggle}
    >
      {on.value ? "leave full screen" : "full screen"}
    </button>
  );
}
