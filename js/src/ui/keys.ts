// What every handler of keys does.

/** Whether a key is pressed with one that makes it the browser's or the host's. */
export function modified(event: KeyboardEvent): boolean {
  return event.ctrlKey || event.metaKey || event.altKey;
}

/** Keeps an event that was answered here from the page and the host. */
export function consume(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}
