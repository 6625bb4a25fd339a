import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Store } from "../src/state/store";
import { explained } from "../src/ui/tips";
import { Explorer } from "../src/views/explorer/explorer";
import { PANELS } from "../src/views/explorer/panels";
import { Shell } from "../src/views/shell/shell";
import { root, showView } from "./show";

let acted = 0;
const Some = ({ store }: { store: Store }) => (
  <Shell store={store} title="some">
    <button type="button" data-testid="acts" data-tip="it acts" onClick={() => acted++}>
      act
    </button>
    <span data-testid="number" {...explained("what the number means")}>
      0.7
    </span>
    <input data-testid="lists" role="combobox" aria-expanded="true" data-tip="it finds" />
    <p data-testid="bare">nothing to say</p>
  </Shell>
);
const All = ({ store }: { store: Store }) => (
  <Shell store={store} title="all">
    <Explorer store={store} />
  </Shell>
);

const find = (testid: string) =>
  root.querySelector<HTMLElement>(`[data-testid="${testid}"]`) as HTMLElement;
const tip = () => root.querySelector<HTMLElement>("[role=tooltip]") as HTMLElement;
const says = () => (tip().hidden ? "" : tip().textContent);
function point(kind: string, testid: string, pointerType = "mouse") {
  const event = new MouseEvent(kind, { bubbles: true, cancelable: true });
  find(testid).dispatchEvent(Object.assign(event, { pointerType }));
}
/** A focus that the keyboard gave, which jsdom does not tell from others. */
function tabTo(testid: string) {
  const element = find(testid);
  const matches = element.matches.bind(element);
  const told = (selector: string) => selector === ":focus-visible" || matches(selector);
  Object.assign(element, { matches: told });
  element.focus();
}

describe("explanations", () => {
  beforeEach(async () => {
    acted = 0;
    await showView(Some);
    vi.useFakeTimers();
  });
  afterEach(() => vi.useRealTimers());

  it("come where the pointer rests, and go where it leaves", () => {
    point("pointerover", "acts");
    vi.advanceTimersByTime(100);
    expect(says()).toBe("");
    vi.advanceTimersByTime(400);
    expect(says()).toBe("it acts");
    expect(find("acts").getAttribute("aria-describedby")).toBe(tip().id);
    point("pointerover", "bare");
    vi.advanceTimersByTime(200);
    expect(says()).toBe("");
    expect(find("acts").hasAttribute("aria-describedby")).toBe(false);
  });

  it("stay while the pointer is on them, and go with Escape", () => {
    point("pointerover", "acts");
    vi.advanceTimersByTime(500);
    point("pointerover", "bare");
    tip().dispatchEvent(new MouseEvent("pointerover", { bubbles: true }));
    vi.advanceTimersByTime(1000);
    expect(says()).toBe("it acts");
    find("acts").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(says()).toBe("");
  });

  it("come at once with the keyboard's focus, also of what is no control", () => {
    tabTo("number");
    expect(says()).toBe("what the number means");
    expect(find("number").getAttribute("aria-describedby")).toBe(tip().id);
    tabTo("acts");
    expect(says()).toBe("it acts");
    find("acts").blur();
    expect(says()).toBe("");
  });

  it("do not lie on the list of a box that is typed into", () => {
    tabTo("lists");
    point("pointerover", "lists");
    vi.advanceTimersByTime(500);
    expect(says()).toBe("");
    find("lists").blur();
    point("pointerover", "lists");
    vi.advanceTimersByTime(500);
    expect(says()).toBe("it finds");
  });

  it("come with a tap on what does nothing else", () => {
    point("pointerdown", "number", "touch");
    point("pointerup", "number", "touch");
    expect(says()).toBe("what the number means");
    point("pointerdown", "bare", "touch");
    expect(says()).toBe("");
  });

  it("come where a control is held, which then does not act", () => {
    point("pointerdown", "acts", "touch");
    point("pointerup", "acts", "touch");
    point("click", "acts", "touch");
    vi.advanceTimersByTime(1000);
    expect([says(), acted]).toEqual(["", 1]);
    point("pointerdown", "acts", "touch");
    vi.advanceTimersByTime(600);
    point("pointerup", "acts", "touch");
    point("click", "acts", "touch");
    expect([says(), acted]).toEqual(["it acts", 1]);
  });
});

it("nothing is explained by a title alone, and every panel says what there is to see", async () => {
  await showView(All, { panels: PANELS.map(({ id }) => id) });
  expect([...root.querySelectorAll("[title]")].map((element) => element.outerHTML)).toEqual([]);
  for (const { id } of PANELS) {
    const panel = root.querySelector(`[data-testid="panel-${id}"] .vaw-sees`);
    expect(panel?.getAttribute("data-tip")?.length ?? 0, id).toBeGreaterThan(40);
  }
});
