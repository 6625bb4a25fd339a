// A view in the page, as the tests of the views look at it.

import { type ComponentType, render } from "preact";
import { act } from "preact/test-utils";
import { afterEach } from "vitest";
import type { Store } from "../src/state/store";
import { Shell } from "../src/views/shell/shell";
import { settle, storeOf } from "./fake";

/** What the view that is shown stands in. */
export let root: HTMLElement = document.createElement("div");

/** Shows a view, whose kernel has answered what it asks at first, until the test ends. */
export async function showView(
  View: ComponentType<{ store: Store }>,
  changes: Record<string, unknown> = {},
) {
  const made = storeOf(changes);
  root = document.createElement("div");
  root.className = "vaw"; // as the entry does
  document.body.append(root);
  await act(async () => {
    render(<View store={made.store} />, root);
    await settle();
  });
  return made;
}

/** The same with what surrounds every widget. */
export const showInShell = (
  View: ComponentType<{ store: Store }>,
  changes: Record<string, unknown> = {},
) =>
  showView(
    ({ store }) => (
      <Shell store={store} title="Test">
        <View store={store} />
      </Shell>
    ),
    changes,
  );

export const find = (testid: string) =>
  root.querySelector<HTMLElement>(`[data-testid="${testid}"]`) as HTMLElement;

afterEach(() => {
  render(null, root);
  root.remove();
  root = document.createElement("div");
});
