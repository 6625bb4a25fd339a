// The script of a page of its own: what a widget exports, or several.

import { PageDocument } from "../page/document";
import { open } from "../page/open";
import { sayWhy } from "../page/say_why";

const { documentElement: root } = document;
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const wanted = root.dataset.vawTheme;
  const isDark = wanted === "auto" ? dark.matches : wanted === "dark";
  root.dataset.jpThemeLight = String(!isDark);
};

performance.mark("display"); // all is there: from here on a reader waits for the browser
const page = new PageDocument(document);
paint();
dark.addEventListener("change", paint);
open(page, document.querySelectorAll<HTMLElement>("[data-vaw-widget]")).catch((error) =>
  sayWhy(error, "It needs the whole file, and a browser of 2023 or later."),
);
