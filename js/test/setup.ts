// What jsdom lacks: a canvas that records what was drawn, and blob addresses. Files share a page,
// which takes longer to make than most files' tests, but no module: each begins anew.

import { afterAll, vi } from "vitest";

vi.resetModules();
afterAll(() => {
  document.body.replaceChildren();
  localStorage.clear();
});

export const drawn: string[] = [];

const context = new Proxy({ canvas: document.createElement("canvas") } as Record<string, unknown>, {
  get: (target, name: string) =>
    name in target
      ? target[name]
      : (...values: unknown[]) => drawn.push(`${name} ${values.length}`),
  set: (target, name: string, value) => {
    target[name] = value;
    return true;
  },
});

HTMLCanvasElement.prototype.getContext = (() => context) as never;
globalThis.ImageData ??= class {
  readonly data: Uint8ClampedArray;
  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(width * height * 4);
  }
} as never;
for (const name of [
  "pointermove",
  "pointerdown",
  "pointerup",
  "pointerover",
  "pointerleave",
  "pointerenter",
]) {
  // preact asks for these to tell how an event is spelled
  for (const kind of [HTMLElement, SVGElement])
    Object.defineProperty(kind.prototype, `on${name}`, { value: null, writable: true });
}
URL.createObjectURL = () => "blob:test";
URL.revokeObjectURL = () => undefined;
