import { expect, test } from "vitest";
import { sayWhy } from "../src/page/say_why";

test("a page that cannot be shown says why, in words alone", () => {
  const wrong = new Error("no <b>file</b>");
  expect(() => sayWhy(wrong, "It needs one.")).toThrow(wrong);
  const words = document.querySelector("[role=alert]");
  expect(words?.innerHTML).toBe(
    "This page cannot be shown: no &lt;b&gt;file&lt;/b&gt;. It needs one.",
  );
});
