// What changed: importance before and after pruning, who takes over, and what is not known yet.

import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { WhatChanged } from "../src/views/what_changed/what_changed";
import { encode, type FakeModel, STATE } from "./fake";
import { TRAITS } from "./fixtures/session";
import { find, root, showView } from "./show";

const table = (values: number[], baseline = "0.7") =>
  encode({ probability: { shape: [2, 2], data: new Float32Array(values) } }, { baseline });
const DECISION = {
  ...(STATE.decision as object),
  target_after: 0.6,
  pruned: [[0, 0]],
};
const PRUNED = { pruned_heads: [[0, 0]], decision: DECISION };
const BEFORE = table([0.4, 0.01, 0.04, 0.2]);
const AFTER = table([Number.NaN, 0.02, 0.22, 0.1], "0.6");
const KNOWN = { ...PRUNED, _importance_before: BEFORE, _importance_data: AFTER };
const show = (changes = {}) => showView(WhatChanged, changes);
const asked = ({ sent }: FakeModel) =>
  sent.filter(({ method }) => method === "importance_before").length;
const click = (element: Element | null | undefined) =>
  act(() => {
    element?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  });

describe("what changed", () => {
  it("says what to do where nothing is pruned, and asks for nothing", async () => {
    const { model } = await show();
    expect(find("changes-nothing").textContent).toContain("Prune a head");
    expect(asked(model)).toBe(0);
  });

  it("marks and lists the heads that take over", async () => {
    const { model, store } = await show(KNOWN);
    expect(asked(model)).toBe(0);
    expect(find("changes-say").textContent).toBe(
      "Without layer 0, head 0 another takes over: layer 1, head 0 from 0.0400 to 0.220.",
    );
    expect(find("take-over").textContent).toBe("takes over:layer 1, head 0, 0.0400 → 0.220");
    expect(find("change-1-0").querySelector("title")?.textContent).toBe(
      "layer 1, head 0: importance 0.0400 → 0.220 (+0.180)",
    );
    expect(find("change-0-0").querySelector("title")?.textContent).toContain("pruned");
    const frames = find("change-grid").querySelectorAll('rect[fill="none"]');
    expect(frames).toHaveLength(1); // the selected head is the one that takes over
    await click(find("change-1-1"));
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([1, 1]);
    await click(find("take-over").querySelector("button"));
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([1, 0]);
    await act(() => {
      find("change-0-1").dispatchEvent(new MouseEvent("pointerenter"));
    });
    expect(store.hoveredHead.value).toEqual([0, 1]);
  });

  it("does not take for a backup what only ceased to do harm", async () => {
    const before = table([0.4, -0.3, 0.04, 0.2]);
    await show({ ...KNOWN, _importance_before: before, _importance_data: BEFORE });
    expect(find("take-over")).toBeNull();
    expect(find("changes-say").textContent).toBe(
      "Without layer 0, head 0 no other head matters much more: none takes over.",
    );
  });

  it("says where nothing is left to take away", async () => {
    const decision = { ...DECISION, target_after: 0.01 };
    const after = table([Number.NaN, 0, 0.001, 0.002], "0.01");
    await show({ ...KNOWN, decision, _importance_data: after });
    expect(find("changes-say").textContent).toBe(
      "Without layer 0, head 0 star fell from 0.700 to 0.010: hardly anything is left that a " +
        "further head could take away.",
    );
  });

  it("asks for what it was before where that is not known, and can ask again", async () => {
    const { model } = await show({ ...PRUNED, _importance_data: AFTER });
    expect(asked(model)).toBe(1);
    await click(find("measure-before"));
    expect(asked(model)).toBe(2);
    await act(() => model.kernel("_importance_before", BEFORE));
    expect(find("take-over")).not.toBeNull();
    const some = table([Number.NaN, 0.02, Number.NaN, Number.NaN], "0.6");
    await act(() => model.kernel("_importance_data", some));
    expect(find("changes-say").textContent).toBe("Measuring the others: 1 of 3 heads.");
  });

  it("dims while other heads are pruned, until the kernel knows of them", async () => {
    const { model } = await show(KNOWN);
    expect(root.querySelector(".vaw-stale")).toBeNull();
    await act(() => model.kernel("pruned_heads", [[1, 1]]));
    expect(root.querySelector(".vaw-stale")).not.toBeNull();
  });

  it("reads what a session sends", async () => {
    await show({ ...TRAITS });
    expect(find("changes-say").textContent).toContain("Without layer 0, head 1");
    expect(find("change-grid").querySelectorAll(".vaw-change")).toHaveLength(24);
  });
});

describe("backup heads", () => {
  const BACKUPS = {
    metric: "probability",
    target: "heart",
    images: 1,
    of_image: true,
    done: 4,
    total: 4,
    asks: false,
    backups: [{ gone: [0, 0], backup: [1, 0], importance: 0.04, change: 0.18 }],
  };

  it("are asked for, with what that costs, and can be stopped", async () => {
    const { model } = await show();
    expect(root.textContent).toContain("Masks each of 4 heads in turn");
    expect(root.textContent).toContain("6 pairs");
    await click(find("find-backups"));
    expect(model.sent.map(({ method }) => method)).toContain("interactions");
    await act(() => model.kernel("_interactions", { ...BACKUPS, asks: true, done: 1 }));
    expect(find("backups-say").textContent).toBe("Masking one head after the other: 1 of 4 heads.");
    expect(find("backups-say").getAttribute("aria-live")).toBe("off");
    expect((find("find-backups") as HTMLButtonElement).disabled).toBe(true);
    await click(find("cancel-backups"));
    expect(model.sent.map(({ method }) => method)).toContain("cancel_job");
  });

  it("are named, tried by a click, and marked among those that take over", async () => {
    const { model } = await show({ ...KNOWN, _interactions: BACKUPS });
    expect(find("take-over").textContent).toBe(
      "takes over:layer 1, head 0, 0.0400 → 0.220, a backup",
    );
    expect(find("backups").textContent).toBe(
      "without layer 0, head 0: layer 1, head 0, 0.0400 → 0.220",
    );
    await click(find("backups").querySelector("button"));
    expect(model.values.pruned_heads).toEqual([[0, 0]]);
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([1, 0]);
    const given = { ...BACKUPS, of_image: false, images: 200, backups: [] };
    await act(() => model.kernel("_interactions", given));
    expect(find("backups-say").textContent).toBe(
      "No head takes over from another over 200 images (heart).",
    );
  });
});
