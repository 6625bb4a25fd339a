// What surrounds every widget: title, status, errors, help, and the keys that work everywhere.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Store } from "../../state/store";
import { consume, modified } from "../../ui/keys";
import { followTips } from "../../ui/tips";
import { Help } from "./help";
import { Prompts } from "./prompts";
import { SavePage } from "./save_page";
import { ErrorBox, KernelNotice, StatusLine } from "./status";

/** Layer and head steps, undo and redo; returns whether the key was one of them. */
export function globalKey(store: Store, key: string): boolean {
  const info = store.info.peek();
  if (!info) return false;
  const layer = store.traits.selected_layer.peek();
  const head = store.traits.selected_head.peek();
  const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));
  const toLayer = (to: number) => store.set({ selected_layer: clamp(to, 0, info.num_layers - 1) });
  const toHead = (to: number) =>
    store.set({ selected_head: clamp(to, -1, (info.num_heads[layer] ?? 1) - 1) });
  if (key === "[") toLayer(layer - 1);
  else if (key === "]") toLayer(layer + 1);
  else if (key === ",") toHead(head - 1);
  else if (key === ".") toHead(head + 1);
  else if (key === "z") store.undo();
  else if (key === "Z") store.redo();
  else if (key === "o") store.togglePlain();
  else if (key === "b") store.showBefore.value = !store.showBefore.peek();
  else if (key === "p") store.togglePrunedChosen(layer, head);
  else return false;
  return true;
}

/** Stand there once there is something to undo; the history is that of all linked widgets. */
function Steps({ store }: { store: Store }) {
  const [back, on] = [store.canUndo.value, store.canRedo.value];
  if (!back && !on) return null;
  const button = (name: string, sign: string, key: string, can: boolean, go: () => void) => (
    <button
      type="button"
      class="vaw-step"
      data-testid={name}
      aria-label={name}
      data-tip={`${name} what was pruned or chosen last (${key})`}
      disabled={!can}
      onClick={go}
    >
      {sign}
    </button>
  );
  return (
    <span class="vaw-steps">
      {button("undo", "↶", "z", back, () => store.undo())}
      {button("redo", "↷", "Z", on, () => store.redo())}
    </span>
  );
}

interface Props {
  store: Store;
  title: string;
  children: ComponentChildren;
}

export function Shell({ store, title, children }: Props) {
  const help = useSignal(false);
  const opener = useRef<HTMLButtonElement>(null);
  const root = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const tipId = useId();
  useEffect(() => {
    if (root.current && tip.current) return followTips(root.current, tip.current);
  }, []);
  const onKey = (event: KeyboardEvent) => {
    const typing = (event.target as HTMLElement).matches("input:not([type=range]), select");
    if (typing || modified(event)) return;
    if (event.key === "?") help.value = !help.value;
    else if (event.key === "Escape" && help.value) help.value = false;
    else if (!globalKey(store, event.key)) return;
    consume(event);
  };
  const stale = store.status.value.state === "computing" && store.status.value.label !== "";
  const info = store.info.value;
  return (
    <div ref={root} class="vaw-root" tabIndex={-1} onKeyDown={onKey}>
      <header class="vaw-head">
        <h2>{title}</h2>
        <StatusLine store={store} />
        <Steps store={store} />
        {info && <SavePage store={store} />}
        <button
          type="button"
          ref={opener}
          class="vaw-help-button"
          aria-expanded={help.value}
          aria-controls={help.value ? "vaw-help" : undefined}
          aria-label="keys"
          data-tip="keys (?)"
          onClick={() => {
            help.value = !help.value;
          }}
        >
          ?
        </button>
      </header>
      <KernelNotice store={store} />
      <ErrorBox store={store} />
      {help.value && (
        <Help
          onClose={() => {
            help.value = false;
            opener.current?.focus();
          }}
        />
      )}
      <div class="vaw-body" aria-busy={stale}>
        {info?.takes_prompts && <Prompts store={store} info={info} />}
        {info ? children : <p class="vaw-muted">Looking at the model …</p>}
      </div>
      <div ref={tip} id={tipId} class="vaw-tip" role="tooltip" popover="manual" hidden />
    </div>
  );
}
