// The box that says which class is explained: what it finds, and how it is used.

import { act } from "preact/test-utils";
import { beforeEach, describe, expect, it } from "vitest";
import { searchClasses } from "../src/state/class_search";
import { Explorer } from "../src/views/explorer/explorer";
import { type FakeModel, STATE, storeOf } from "./fake";
import { find, root, showInShell } from "./show";

const KINDS = ["tench", "Tiger shark", "tiger", "cat", "tiger cat", "concatenated", "cat tiger"];
const NAMES = [...KINDS, ...Array.from({ length: 993 }, (_, i) => `thing ${i + KINDS.length}`)];
const MANY = { ...(STATE._model_info as object), class_names: NAMES, num_classes: NAMES.length };
const row = (index: number) => ({ index, name: NAMES[index], before: 0.4, after: null });
const DECISION = { ...(STATE.decision as object), target: 4, target_name: "tiger cat" };

describe("classes that are searched", () => {
  const info = storeOf({ _model_info: MANY }).store.info.value;
  if (!info) throw new Error("no info");
  const named = (text: string, likely: number[] = []) =>
    searchClasses(info, likely, text).map((index) => NAMES[index]);

  it("come by their beginning, then by their words, then by what is in them", () => {
    expect(named("cat")).toEqual(["cat", "cat tiger", "tiger cat", "concatenated"]);
    expect(named(" TIGER ")).toEqual(["Tiger shark", "tiger", "tiger cat", "cat tiger"]);
    expect(named("tiger ca")).toEqual(["tiger cat", "cat tiger"]);
    expect(named("zebra")).toEqual([]);
  });

  it("are the likely ones first, and a class by its number before all", () => {
    expect(named("cat", [4, 5, 0])).toEqual(["tiger cat", "concatenated", "cat", "cat tiger"]);
    expect(named("", [4, 0]).slice(0, 4)).toEqual(["tiger cat", "tench", "Tiger shark", "tiger"]);
    expect(named("", [4, 0])).toHaveLength(1000);
    expect(named("57", [571]).slice(0, 2)).toEqual(["thing 57", "thing 571"]);
  });
});

describe("the box", () => {
  let model: FakeModel;
  let input: HTMLInputElement;
  beforeEach(async () => {
    const decision = { ...DECISION, follows_prediction: true, rows: [row(4), row(2)] };
    ({ model } = await showInShell(Explorer, { _model_info: MANY, decision }));
    input = find("class-picker") as HTMLInputElement;
  });
  const press = (key: string) =>
    act(() => void input.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })));
  const type = (text: string) =>
    act(() => {
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  const options = () => [...root.querySelectorAll<HTMLElement>(".vaw-options li")];
  const names = () => options().map(({ firstElementChild: name }) => name?.textContent);
  const active = () => {
    const id = input.getAttribute("aria-activedescendant");
    return id === null ? null : root.querySelector(`#${id}`);
  };

  it("lists the likely classes first, and some dozens of a thousand", async () => {
    await act(() => input.focus());
    expect(input.placeholder).toBe("tiger cat (predicted)");
    expect(names().slice(0, 4)).toEqual(["the predicted class", "tiger cat", "tiger", "tench"]);
    expect(options()).toHaveLength(32);
    expect(options().at(-1)?.textContent).toBe("970 more classes: type to find them");
    for (let i = 0; i < 31; i++) await press("ArrowDown");
    expect(active()).toBe(options()[0]); // what cannot be chosen is not walked to
  });

  it("explains the class that is typed, and keeps the focus", async () => {
    await act(() => input.focus());
    await type("conc");
    await press("Enter");
    expect(model.values.target).toBe(5);
    expect(document.activeElement).toBe(input);
    expect(input.getAttribute("aria-expanded")).toBe("false");
    await press("ArrowDown");
    expect(names()[0]).toBe("the predicted class");
    await press("Enter");
    expect(model.values.target).toBeNull();
  });

  it("is not for the predicted class where a letter of it is typed", async () => {
    await act(() => input.focus());
    await type("c");
    expect(names()[0]).toBe("tiger cat");
    await type("Pred");
    expect(names()).toEqual(["the predicted class"]);
  });

  it("says how many there are, and does nothing where there is none", async () => {
    const said = () => root.querySelector(".vaw-picker [role=status]")?.textContent;
    await act(() => input.focus());
    expect(said()).toBe("");
    await type("tiger cat");
    expect(said()).toBe("2 classes");
    await type("zebra");
    expect(said()).toBe("0 classes");
    expect(root.querySelector(".vaw-options")?.textContent).toBe("no such class");
    const before = model.values.target;
    await press("Enter");
    expect(active()).toBeNull();
    expect(model.values.target).toBe(before);
  });

  it("lets the list be scrolled, and chooses by a click", async () => {
    await act(() => input.focus());
    const list = root.querySelector(".vaw-options") as HTMLElement;
    const pressed = new MouseEvent("mousedown", { bubbles: true, cancelable: true });
    await act(() => void list.dispatchEvent(pressed));
    expect(pressed.defaultPrevented).toBe(true); // else the focus, and with it the list, would go
    const down = new MouseEvent("pointerdown", { bubbles: true });
    await act(() => void options()[3]?.dispatchEvent(down));
    expect(model.values.target).not.toBe(0); // a finger may begin to scroll
    await act(() => options()[3]?.click());
    expect(model.values.target).toBe(0);
  });

  it("names the class that Enter would choose, as a combobox does", async () => {
    expect(active()).toBeNull();
    expect(root.querySelector(`label[for="${input.id}"]`)?.textContent).toBe("explain");
    await act(() => input.focus());
    const list = root.querySelector(`#${input.getAttribute("aria-controls")}`);
    expect(list?.getAttribute("role")).toBe("listbox");
    expect(active()).toBe(list?.children[0]);
    await press("ArrowDown");
    expect(active()).toBe(list?.children[1]);
    expect(active()?.getAttribute("aria-selected")).toBe("true");
    expect(list?.querySelectorAll('[aria-selected="true"]').length).toBe(1);
    await press("Escape");
    expect(active()).toBeNull();
  });
});
