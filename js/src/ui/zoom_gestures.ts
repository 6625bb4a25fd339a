// Ctrl and wheel, and two fingers, on what can be zoomed; where they do nothing else, the page keeps
// its own.

/** Given by how much, and where in the element it is to stay as it is. */
type ZoomBy = (factor: number, x: number, y: number) => void;

/** A notch of a wheel reports many pixels, a pinch on a trackpad few at a time. */
const NOTCH = 40;
const BY_PIXEL = 0.01;

/** Listens until the function that it returns is called. */
export function zoomGestures(element: HTMLElement, zoomBy: ZoomBy): () => void {
  const end = new AbortController();
  const heard = { signal: end.signal, passive: false };
  const within = (x: number, y: number): [number, number] => {
    const box = element.getBoundingClientRect();
    return [x - box.left, y - box.top];
  };
  element.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls
      event.preventDefault();
      const pixels = Math.max(-NOTCH, Math.min(NOTCH, event.deltaY));
      zoomBy(Math.exp(-pixels * BY_PIXEL), ...within(event.clientX, event.clientY));
    },
    heard,
  );
  let apart = 0;
  const fingers = (event: TouchEvent) => {
    const [a, b] = [event.touches[0], event.touches[1]];
    if (!a || !b || event.touches.length > 2) return null;
    return {
      apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
      middle: within((a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2),
    };
  };
  const follow = (event: TouchEvent) => {
    const now = fingers(event);
    if (!now) return;
    event.preventDefault();
    if (event.type === "touchmove" && apart > 0) zoomBy(now.apart / apart, ...now.middle);
    apart = now.apart;
  };
  element.addEventListener("touchstart", follow, heard);
  element.addEventListener("touchmove", follow, heard);
  return () => end.abort();
}
