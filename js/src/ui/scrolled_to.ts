// What is chosen comes into view where it stands, without moving the page.

/**
 * How far to scroll from where it is, so that a part of such a length is seen; `edge` is what lies
 * over the beginning of the view.
 */
export function nearest(
  scrolled: number,
  size: number,
  start: number,
  length: number,
  edge: number,
): number {
  if (start - edge < scrolled) return Math.max(0, start - edge);
  return Math.max(scrolled, start + length - size);
}

/** Scrolls an element sideways as little as it takes to see a part of it, with some room around. */
export function scrolledTo(element: HTMLElement, part: HTMLElement, room = 26): void {
  const [inside, box] = [part.getBoundingClientRect(), element.getBoundingClientRect()];
  const x = inside.left - box.left + element.scrollLeft;
  const { scrollLeft, clientWidth } = element;
  element.scrollLeft = nearest(scrollLeft, clientWidth, x, inside.width + room, room);
}
