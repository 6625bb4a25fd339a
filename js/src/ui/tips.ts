// Explanations: whatever has `data-tip` is explained while the pointer rests on it, while it is
// focused by the keyboard, and on a touch screen when it is tapped, or held if a tap does something.
//
// One box serves a whole widget. It stands in the browser's top layer, so that nothing moves and no
// host cuts it off; what it explains refers to it by `aria-describedby`.

/** For what is no control: the keyboard reaches it as well. */
export function explained(tip: string | undefined): { "data-tip"?: string; tabIndex?: number } {
  return tip ? { "data-tip": tip, tabIndex: 0 } : {};
}

const REST_MS = 400;
const LEAVE_MS = 150;
const HOLD_MS = 500;
/** Between the box and what it explains, and the edges of the page. */
const GAP = 6;
const HAS_TIP = '[data-tip]:not([data-tip=""])';
/** A box whose list stands where the tip would. */
const LISTS = "[role=combobox]:focus";
const DOES = "button:not(.vaw-sees), input, select, [role=option], [role=gridcell]";

/** Shows in `box` what is explained within `root`; returns what ends that. */
export function followTips(root: HTMLElement, box: HTMLElement): () => void {
  const end = new AbortController();
  let shown: HTMLElement | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let held = false;
  const soon = (ms: number, act: () => void) => {
    clearTimeout(timer);
    timer = setTimeout(act, ms);
  };
  const hide = () => {
    clearTimeout(timer);
    if (!shown) return;
    if (shown.getAttribute("aria-describedby") === box.id)
      shown.removeAttribute("aria-describedby");
    shown = null;
    box.hidden = true;
    box.hidePopover?.();
  };
  const show = (target: HTMLElement) => {
    clearTimeout(timer);
    if (target === shown || !target.isConnected || target.matches(LISTS)) return;
    hide();
    shown = target;
    box.textContent = target.dataset.tip ?? "";
    box.hidden = false;
    box.showPopover?.();
    place(box, target.getBoundingClientRect());
    if (!target.hasAttribute("aria-describedby")) target.setAttribute("aria-describedby", box.id);
  };
  const tipped = ({ target }: Event) =>
    target instanceof Element ? target.closest<HTMLElement>(HAS_TIP) : null;

  const on = <K extends keyof HTMLElementEventMap>(
    kind: K,
    act: (event: HTMLElementEventMap[K]) => void,
  ) => root.addEventListener(kind, act, { signal: end.signal, capture: true });
  on("pointerover", (event) => {
    if (event.pointerType === "touch" || event.buttons > 0) return;
    const target = tipped(event);
    if ((event.target instanceof Node && box.contains(event.target)) || target === shown)
      clearTimeout(timer);
    else if (target) soon(shown ? LEAVE_MS : REST_MS, () => show(target));
    else soon(LEAVE_MS, hide);
  });
  on("pointerleave", (event) => {
    if (event.target === root && event.pointerType !== "touch") soon(LEAVE_MS, hide);
  });
  on("focusin", (event) => {
    const target = tipped(event);
    if (!(event.target instanceof Element && event.target.matches(":focus-visible"))) return;
    if (target && target === event.target) show(target);
    else hide();
  });
  on("focusout", hide);
  on("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  on("pointerdown", (event) => {
    const target = tipped(event);
    held = false;
    hide();
    if (event.pointerType !== "touch" || !target?.matches(DOES)) return;
    soon(HOLD_MS, () => {
      held = true;
      show(target);
    });
  });
  on("pointercancel", hide);
  on("pointerup", (event) => {
    const target = tipped(event);
    if (!held) clearTimeout(timer);
    if (event.pointerType === "touch" && target && !target.matches(DOES)) show(target);
  });
  on("click", (event) => {
    if (held) {
      event.preventDefault();
      event.stopPropagation();
    }
    held = false;
  });
  window.addEventListener("scroll", hide, { signal: end.signal, capture: true, passive: true });
  return () => {
    hide();
    end.abort();
  };
}

/** Below what is explained, or above where there is no room, within the page. */
function place(box: HTMLElement, target: DOMRect): void {
  const { width, height } = box.getBoundingClientRect();
  const most = document.documentElement.clientWidth - width - GAP;
  const left = Math.max(GAP, Math.min(most, target.left + target.width / 2 - width / 2));
  const below = target.bottom + GAP;
  const fits = below + height + GAP <= window.innerHeight;
  box.style.left = `${left}px`;
  box.style.top = `${fits ? below : Math.max(GAP, target.top - GAP - height)}px`;
}
