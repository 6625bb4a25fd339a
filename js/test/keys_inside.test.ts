// Keys pressed in a view that its host draws anew do not reach the host.

import { expect, it, vi } from "vitest";
import { keepKeys } from "../src/entry/keys_inside";

function view(): { el: HTMLElement; root: HTMLElement } {
  const el = document.createElement("div");
  const root = document.createElement("div");
  root.className = "vaw-root";
  root.tabIndex = -1;
  el.append(root);
  document.body.append(el);
  return { el, root };
}

it("goes on in the view that takes the place of the one that was used", () => {
  const life = new AbortController();
  const [former, later] = [view(), view()];
  let standing: HTMLElement | undefined;
  for (const { el } of [former, later]) keepKeys(el, life.signal, () => standing);
  former.root.focus();
  former.el.remove();
  const [host, inside] = [vi.fn(), vi.fn()];
  document.addEventListener("keydown", host, { signal: life.signal });
  later.root.addEventListener("keydown", inside);
  const press = () =>
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true }));
  press(); // there is none yet
  expect(host).toHaveBeenCalledTimes(1);
  standing = later.el;
  press();
  expect(inside).toHaveBeenCalledTimes(1);
  expect(document.activeElement).toBe(later.root);
  press(); // and on, though what was pressed is the page
  expect(inside).toHaveBeenCalledTimes(2);
  expect(host).toHaveBeenCalledTimes(1);
  life.abort();
});

it("leaves nothing of a view that is closed, and hands on what was pressed in it", () => {
  vi.useFakeTimers();
  const [used, other, later] = [view(), view(), view()];
  const lives = [used, other, later].map(() => new AbortController());
  [used, other, later].forEach(({ el }, i) => {
    keepKeys(el, (lives[i] as AbortController).signal, () => later.el);
  });
  const inside = vi.fn();
  later.root.addEventListener("keydown", inside);
  used.root.focus();
  used.el.remove();
  for (const life of lives.slice(0, 2)) life.abort();
  const press = () =>
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true }));
  press(); // the host has not drawn anything yet that was pressed
  vi.advanceTimersByTime(3000);
  later.root.blur();
  press();
  expect(inside).toHaveBeenCalledTimes(2);
  lives[2]?.abort();
  vi.advanceTimersByTime(3000);
  later.root.blur();
  press();
  expect(inside).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});
