// Whether things may move.

/** Whether the user asked for as little motion as possible. */
export function calm(): boolean {
  return globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;
}
