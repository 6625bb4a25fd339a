// Controls that several views share.

import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, it } from "vitest";
import { Select } from "../src/ui/controls";

it("a drop-down goes back to what is shown, where a choice is refused", async () => {
  const options = ["daam", "legrad", "gmar"].map((key) => ({ key, label: key }));
  const root = document.createElement("div");
  let value = "daam";
  const choose = (next: string) => {
    if (next === "legrad") return; // needs the model
    value = next;
    draw();
  };
  const draw = () =>
    render(<Select label="method" value={value} options={options} onChange={choose} />, root);
  draw();
  const select = root.querySelector("select") as HTMLSelectElement;
  for (const [chosen, shown] of [
    ["legrad", "daam"],
    ["gmar", "gmar"],
  ] as const) {
    select.value = chosen;
    await act(async () => {
      select.dispatchEvent(new Event("change", { bubbles: true }));
    });
    expect(select.value).toBe(shown);
  }
});
