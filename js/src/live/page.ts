// The script of the live page: the Explorer on a model that runs in the browser.

import explorer from "../entry/explorer";
import { read } from "../page/encoding";
import type { PageKernel } from "../page/kernel";
import { sayWhy } from "../page/say_why";
import { PageSession } from "../page/session";
import type { Traits } from "../protocol/traits";
import { LiveKernel } from "./kernel";
import { Network } from "./network";
import { Pad } from "./pad";
import type { Size } from "./passes";
import type { Scenes } from "./pictures";
import type { Drawn } from "./session";

/** What `live/build.py` writes. */
interface Site {
  /** As a session in Python has them on the first scene: they are shown until the model is there. */
  values: Traits;
  /** The Explorer's own. */
  own: Record<string, unknown>;
  size: Size;
  scenes: Scenes;
  drawn: Drawn;
}

const SEEN = "vit-attention-widget: the tour was seen";

const beside = (name: string) => new URL(name, import.meta.url);
const element = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;

/** Whether nobody was here before; where the browser does not remember, everybody is new. */
function firstVisit(): boolean {
  try {
    const first = !localStorage.getItem(SEEN);
    localStorage.setItem(SEEN, "yes");
    return first;
  } catch {
    return true;
  }
}

/** The page's title stays in sight until somebody does something. */
function keepTitle(): void {
  const { dataset } = document.documentElement;
  dataset.new = "";
  for (const event of ["pointerdown", "keydown", "wheel"]) {
    addEventListener(event, () => delete dataset.new, { capture: true, once: true, passive: true });
  }
}

function follow(dark: MediaQueryList): void {
  const paint = () => {
    document.documentElement.dataset.jpThemeLight = String(!dark.matches);
  };
  paint();
  dark.addEventListener("change", paint);
}

function startPad(kernel: PageKernel): void {
  const pad = new Pad(element("pad"), element("color"), element("ground"), async (picture) => {
    const buffer = await picture.arrayBuffer();
    const params = { upload: "drawing", name: "drawing", part: 0, parts: 1 };
    kernel.answer("bring_picture", params, new AbortController().signal, buffer);
  });
  element("undo").addEventListener("click", () => pad.undo());
  element("clear").addEventListener("click", () => pad.clear());
}

async function open(): Promise<void> {
  const answer = await fetch(beside("session.txt"));
  const { values, own, size, scenes, drawn } = await read<Site>(await answer.text());
  const worker = new Worker(beside("worker.js"), { type: "module" });
  const network = new Network(worker, size, [3, scenes.side, scenes.side]);
  let kernel: LiveKernel | undefined;
  const session = new PageSession(values as unknown as Record<string, unknown>, (publish) => {
    kernel = new LiveKernel(values, network, size, scenes, drawn, publish, beside("patterns.txt"));
    startPad(kernel);
    return kernel;
  });
  const style = document.querySelector("style[data-vaw-style]")?.textContent;
  const tour_step = firstVisit() ? 0 : -1;
  if (tour_step === 0) keepTitle();
  const model = session.model({ ...own, tour_step, _css: style, _widget_id: "live" });
  const { signal } = new AbortController();
  const host = { model, el: element("explorer"), signal };
  element("waiting").remove();
  explorer.initialize(host);
  explorer.render(host);
  Object.assign(globalThis, { live: { model, session, kernel, network } }); // for the console
}

follow(matchMedia("(prefers-color-scheme: dark)"));
open().catch((error) => {
  document.getElementById("waiting")?.remove();
  sayWhy(error, "It needs all of its files, and a browser of 2023 or later.");
});
