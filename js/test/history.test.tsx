import { act } from "preact/test-utils";
import { describe, expect, it, vi } from "vitest";
import { redone, stepped, undone, Walk } from "../src/state/history";
import type { Store } from "../src/state/store";
import { Shell } from "../src/views/shell/shell";
import { storeOf } from "./fake";
import { find, root, showView } from "./show";

const NONE = { pruned: [], undo: [], redo: [] };

describe("the history", () => {
  it("goes back through heads and selections in the order in which they came", () => {
    const chose = new Walk().chose(NONE, { selected_layer: 1 }, { selected_layer: 0 }, 0);
    const pruned = stepped(chose ?? NONE, [[0, 1]]);
    expect(pruned.undo).toEqual([{ selected_layer: 1 }, [[0, 1]]]);
    const first = undone(pruned, { selected_layer: 0 });
    expect(first?.history.pruned).toEqual([]);
    expect(first?.chosen).toEqual({});
    const second = undone(first?.history ?? NONE, { selected_layer: 0 });
    expect(second?.chosen).toEqual({ selected_layer: 1 });
    expect(second?.history.redo).toEqual([[[0, 1]], { selected_layer: 0 }]);
    const again = redone(second?.history ?? NONE, { selected_layer: 1 });
    expect(again?.chosen).toEqual({ selected_layer: 0 });
    expect(again?.history).toEqual(first?.history);
  });

  it("takes a fast walk for one step, and what is nothing new for none", () => {
    const walk = new Walk();
    const history = walk.chose(NONE, { selected_token: 3 }, { selected_token: 4 }, 0);
    expect(history?.undo).toEqual([{ selected_token: 3 }]);
    const went = history ?? NONE;
    expect(walk.chose(went, { selected_token: 4 }, { selected_token: 5 }, 900)).toBeNull();
    expect(walk.chose(went, { selected_token: 5 }, { selected_token: 6 }, 1800)).toBeNull();
    expect(walk.chose(went, { selected_token: 6 }, { selected_token: 6 }, 1900)).toBeNull();
    const other = walk.chose(went, { method: "daam" }, { method: "rollout" }, 2000);
    expect(other?.undo).toHaveLength(2);
    const later = walk.chose(went, { method: "rollout" }, { method: "daam" }, 4000);
    expect(later?.undo).toHaveLength(2);
  });
});

describe("what is chosen in a widget", () => {
  it("is one message with its step, and one with its undoing", () => {
    const { store, model } = storeOf();
    store.set({ selected_layer: 0, selected_head: 1 });
    expect(model.saved).toEqual([["selected_layer", "selected_head", "_history"]]);
    expect(model.values._history).toEqual({
      ...NONE,
      undo: [{ selected_layer: 1, selected_head: 0 }],
    });
    store.undo();
    expect(store.traits.selected_layer.value).toBe(1);
    expect(store.traits.selected_head.value).toBe(0);
    expect(model.saved).toHaveLength(2);
    expect(model.saved[1]).not.toContain("pruned_heads");
    store.redo();
    expect(store.traits.selected_layer.value).toBe(0);
  });

  it("goes back to the predicted class as such", () => {
    const { store, model } = storeOf();
    const decision = store.traits.decision.value;
    model.kernel("decision", { ...decision, follows_prediction: true });
    store.set({ target: 0 });
    store.undo();
    expect(model.values.target).toBeNull();
  });

  it("is no step where it changes how things look", () => {
    const { store } = storeOf();
    store.set({ colormap: "magma", opacity: 0.2 });
    expect(store.canUndo.value).toBe(false);
  });

  it("is undone by a button and by a key, which are there once there is something to undo", async () => {
    vi.spyOn(performance, "now").mockReturnValue(0);
    const Empty = ({ store }: { store: Store }) => (
      <Shell store={store} title="any">
        <p>what it shows</p>
      </Shell>
    );
    const { store } = await showView(Empty);
    expect(find("undo")).toBeNull();
    await act(() => store.set({ metric: "taylor" }));
    await act(() => find("undo").click());
    expect(store.traits.metric.value).toBe("probability");
    const press = (key: string) => {
      const event = new KeyboardEvent("keydown", { key, bubbles: true });
      return act(() => void root.querySelector("p")?.dispatchEvent(event));
    };
    await press("Z");
    expect(store.traits.metric.value).toBe("taylor");
    await press("z");
    expect(store.traits.metric.value).toBe("probability");
    vi.restoreAllMocks();
  });
});
