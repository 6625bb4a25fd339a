"""Hosts that cannot be run here, by their rules: a page that hands a widget's model on as they do.

The widget and its session are real, in this process; the page asks it as a host's manager would.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ipywidgets.widgets.widget import _remove_buffers
from playwright.sync_api import Browser, Page

import vit_attention_widget as vaw

MODEL = """
const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const put = (state, paths, buffers) => paths.forEach((path, i) => {
  const { buffer } = decoded(buffers[i]);
  path.reduce((at, key, depth) => depth === path.length - 1
    ? (at[key] = new DataView(buffer)) : at[key], state);
});
class Model {
  listeners = new Map();
  changes = {};
  constructor(values, manager) { this.values = values; this.widget_manager = manager; }
  get = (name) => this.values[name];
  set = (name, value) => { this.take({ [name]: value }); this.changes[name] = value; };
  save_changes = () => {
    toKernel(JSON.stringify({ method: "update", state: this.changes, buffer_paths: [] }));
    this.changes = {};
  };
  on = (event, listener) =>
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  off = (event, listener) =>
    this.listeners.set(event, this.listeners.get(event)?.filter((one) => one !== listener));
  emit(event, ...of) { for (const listener of this.listeners.get(event) ?? []) listener(...of); }
  take(state) {
    const changed = Object.keys(state).filter((name) => this.values[name] !== state[name]);
    Object.assign(this.values, state);
    for (const name of changed) this.emit(`change:${name}`);
  }
  send = (content) => toKernel(JSON.stringify({ method: "custom", content }));
  receive({ data, buffers }) {
    if (data.method === "custom") this.emit("msg:custom", data.content, HANDED_ON(buffers));
    if (data.method !== "update") return;
    put(data.state, data.buffer_paths, buffers);
    this.take(data.state);
  }
}
window.open = async () => {
  const { widget, models } = JSON.parse(await initially());
  put(widget.data.state, widget.data.buffer_paths, widget.buffers);
  const get_model = async (id) => ({ get: (name) => models[id][name] });
  const model = new Model(widget.data.state, { get_model, ...KERNEL });
  const code = new Blob([model.get("_esm")], { type: "text/javascript" });
  const { default: lifecycle } = await import(URL.createObjectURL(code));
  const { signal } = new AbortController();
  await lifecycle.initialize({ model, signal });
  const el = document.getElementById("widget");
  await lifecycle.render({ model, el, signal });
  for (;;) {
    for (const message of JSON.parse(await fromKernel())) model.receive(message);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
"""


@dataclass(frozen=True)
class Rules:
    """What is known of a host, as JavaScript and HTML."""

    handed_on: str
    """Of the bytes of a message, in base64: what a listener is given."""

    page: str
    """Around ``<div id="widget">``."""

    kernel: str = "{}"
    """What its manager has besides models."""


@contextlib.contextmanager
def shown(
    widget: vaw.Explorer, models: Mapping[str, Any], rules: Rules, browser: Browser
) -> Iterator[tuple[Page, list[str]]]:
    """The widget in a page by these rules, and what went wrong in it."""
    sent: deque[str] = deque()
    comm = widget.comm
    comm.send = lambda data, buffers=(), **_: sent.append(json.dumps(_message(data, buffers)))
    widget.wait()
    state, paths, buffers = _remove_buffers(widget.get_state())
    first = {"widget": _message({"state": state, "buffer_paths": paths}, buffers), "models": models}
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 1300})
    page, errors = context.new_page(), list[str]()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.expose_function("initially", lambda: json.dumps(first))
    page.expose_function("toKernel", lambda text: _handed(widget, text))
    page.expose_function(
        "fromKernel", lambda: f"[{','.join(sent.popleft() for _ in range(len(sent)))}]"
    )
    script = MODEL.replace("HANDED_ON", f"({rules.handed_on})").replace("KERNEL", rules.kernel)
    page.set_content(rules.page)
    frame = page.frames[-1]  # the innermost
    frame.add_script_tag(content=script)
    frame.evaluate("void window.open()")
    try:
        yield page, errors
    finally:
        context.close()


def _handed(widget: vaw.Explorer, text: str) -> None:
    widget._handle_msg({"content": {"data": json.loads(text)}, "buffers": []})


def _message(data: Mapping[str, Any], buffers: Sequence[bytes] | None) -> dict[str, Any]:
    return {"data": data, "buffers": [base64.b64encode(b).decode() for b in buffers or ()]}
