// A host without a kernel: gives a widget's own module a model that holds the baked state.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const view = (text) => new DataView(bytes(text).buffer);
const values = Object.fromEntries(
  Object.entries(STATE).map(([name, v]) => [name, v?.bytes !== undefined ? view(v.bytes) : v]),
);
const layers = LAYERS.map(view);
const script = new Blob([bytes(SCRIPT)], { type: "text/javascript" });
const listeners = {};
const emit = (event, ...args) => {
  for (const listener of listeners[event] ?? []) listener(...args);
};
const changed = new Set();
const model = {
  get: (name) => values[name],
  set(name, value) {
    values[name] = value;
    changed.add(name);
  },
  save_changes() {
    for (const name of changed) emit(`change:${name}`);
    changed.clear();
  },
  on(event, listener) {
    if (!listeners[event]) listeners[event] = [];
    listeners[event].push(listener);
  },
  off(event, listener) {
    listeners[event] = (listeners[event] ?? []).filter((l) => l !== listener);
  },
  send({ id, method, params }) {
    const asked = REPLIES[`${method} ${params?.family ?? params?.index}`];
    const reply = method === "attention" ? layers[params.layer] : asked && view(asked);
    if (!reply) return;
    setTimeout(() => {
      const meta = { version: values._version };
      emit("msg:custom", { id, ok: true, meta }, [reply]);
      performance.mark("answered");
    });
  },
};
performance.mark("display"); // all state is there: from here on a user waits for the browser
const { default: widget } = await import(URL.createObjectURL(script));
const signal = new AbortController().signal;
const el = document.getElementById("widget");
widget.initialize({ model, signal });
widget.render({ model, el, signal });
globalThis.model = model;
