// While something is dragged near the upper or lower edge of what scrolls, it scrolls.

const EDGE = 48;

/** The parent, also out of the widget's own tree. */
function parentOf(element: Element): Element | null {
  const tree = element.getRootNode();
  return element.parentElement ?? (tree instanceof ShadowRoot ? tree.host : null);
}

function scrollerOf(element: Element): Element | null {
  for (let parent = parentOf(element); parent; parent = parentOf(parent)) {
    const scrolls = /auto|scroll/.test(getComputedStyle(parent).overflowY);
    if (scrolls && parent.scrollHeight > parent.clientHeight) return parent;
  }
  return document.scrollingElement;
}

/** Tells `moved` where the pointer is, also when what lies below a resting pointer has scrolled. */
export function edgeScroll(element: Element, moved: (x: number, y: number) => void) {
  const holder = scrollerOf(element);
  let [frame, x, y] = [0, 0, 0];
  const step = () => {
    const page = holder === document.scrollingElement;
    const box = page ? null : holder?.getBoundingClientRect();
    const top = Math.max(0, box?.top ?? 0) + EDGE;
    const bottom = Math.min(innerHeight, box?.bottom ?? innerHeight) - EDGE;
    const over = Math.min(0, y - top) + Math.max(0, y - bottom);
    if (over !== 0) {
      holder?.scrollBy(0, over / 4);
      moved(x, y);
    }
    frame = requestAnimationFrame(step);
  };
  return {
    to(nowX: number, nowY: number) {
      [x, y] = [nowX, nowY];
      moved(x, y);
      if (frame === 0) frame = requestAnimationFrame(step);
    },
    stop() {
      cancelAnimationFrame(frame);
    },
  };
}
