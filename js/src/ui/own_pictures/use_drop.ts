// A picture that is dropped on the widget, or pasted while it is used; neither reaches the host.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { bring, bringingOf, pictureAmong } from "../../state/own_pictures";
import type { Store } from "../../state/store";

const NONE = "What was dropped is no picture: a file like PNG or JPEG was expected.";

/** Listens on the whole widget in which the element stands. */
export function useDrop(store: Store): RefObject<HTMLDivElement> {
  const inside = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const root = inside.current?.closest<HTMLElement>(".vaw-root") ?? inside.current;
    if (!root) return;
    const stop = new AbortController();
    const mark = (over: boolean) => root.toggleAttribute("data-dropping", over);
    const listen = <K extends keyof HTMLElementEventMap>(
      kind: K,
      heard: (event: HTMLElementEventMap[K]) => void,
    ) => root.addEventListener(kind, heard, { signal: stop.signal });
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      mark(true);
    };
    listen("dragenter", over);
    listen("dragover", over);
    listen("dragleave", (event) => {
      if (!root.contains(event.relatedTarget as Node | null)) mark(false);
    });
    listen("drop", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      mark(false);
      const file = pictureAmong(event.dataTransfer);
      if (file) bring(store, file);
      else bringingOf(store).problem.value = NONE;
    });
    listen("paste", (event) => {
      event.stopPropagation();
      const file = pictureAmong(event.clipboardData);
      if (!file) return; // text, for a box
      event.preventDefault();
      bring(store, file);
    });
    return () => {
      mark(false);
      stop.abort();
    };
  }, [store]);
  return inside;
}
