// No key that is pressed in a widget reaches the host, where a letter cuts or makes a cell.

const KINDS = ["keydown", "keypress", "keyup"] as const;

/** Keys of the browser and of the host, but Enter, which would run the cell and replace the widget. */
function goesOut(event: KeyboardEvent): boolean {
  return (event.ctrlKey || event.metaKey || event.altKey) && event.key !== "Enter";
}

/** So long may a host take to draw a view anew that it has closed. */
const ANEW_MS = 3000;

/** Whether a view is what was focused or pressed last. */
const within = new WeakMap<HTMLElement, boolean>();

/**
 * Keeps the keys pressed in `el`, which holds the widget's `.vaw-root`. What was focused may be
 * gone, as a button that is disabled by its click, or the whole view, which its host drew anew:
 * then keys still belong to the widget, or to the `heir`, the view that stands now. Once the signal
 * says that the view is closed, nothing is left of it, but a moment later where it was in use.
 */
export function keepKeys(
  el: HTMLElement,
  signal: AbortSignal,
  heir: () => HTMLElement | undefined = () => undefined,
): void {
  const end = new AbortController();
  // Lumino's hosts skip what is inside, also where they listen before it does.
  el.setAttribute("data-lm-suppress-shortcuts", "true");
  const stop = (event: KeyboardEvent) => {
    if (!goesOut(event)) event.stopPropagation();
  };
  const bringBack = (event: KeyboardEvent) => {
    const lost = event.target === document.body || event.target === document.documentElement;
    const view = el.isConnected ? el : heir();
    if (!within.get(el) || !lost || !view || goesOut(event)) return;
    event.stopImmediatePropagation();
    const root = (view.shadowRoot ?? view).querySelector<HTMLElement>(".vaw-root");
    root?.focus({ preventScroll: true });
    const again = new KeyboardEvent(event.type, init(event));
    if (root?.dispatchEvent(again) === false) event.preventDefault();
  };
  const look = (event: Event) => {
    within.set(el, event.composedPath().includes(el));
  };
  for (const kind of KINDS) {
    el.addEventListener(kind, stop, { signal: end.signal });
    window.addEventListener(kind, bringBack, { signal: end.signal, capture: true });
  }
  for (const kind of ["focusin", "pointerdown"])
    window.addEventListener(kind, look, { signal: end.signal, capture: true });
  const leave = () => {
    const next = heir();
    if (within.get(el) && next) within.set(next, true);
    end.abort();
  };
  signal.addEventListener("abort", () => {
    if (within.get(el)) setTimeout(leave, ANEW_MS);
    else leave();
  });
}

function init({ key, code, shiftKey, repeat }: KeyboardEvent): KeyboardEventInit {
  return { key, code, shiftKey, repeat, bubbles: true, cancelable: true };
}
