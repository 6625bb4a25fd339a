// Prefix tokens beside the picture: they look at patches and are looked at, but have no place in it.

import type { ModelInfo } from "../protocol/schema";
import { shownAttention } from "../state/shown_attention";
import type { Store } from "../state/store";
import { percent } from "../state/words";

const HINTS: Record<string, string> = {
  class: "The class token gathers what the model decides from.",
  distilled: "The distillation token learned to say what a teacher model says.",
  register: "Register tokens give the model room to compute; they are not part of the picture.",
};

export function TokenChips({ store, info }: { store: Store; info: ModelInfo }) {
  if (info.prefix.length === 0) return null;
  const shown = shownAttention(store, info, store.traits.selected_head.value);
  const selected = store.traits.selected_token.value;
  return (
    <fieldset class="vaw-chips" aria-label="tokens without a place in the picture">
      {info.prefix.map((name, token) => (
        <button
          type="button"
          key={name}
          class="vaw-chip"
          aria-pressed={selected === token}
          data-tip={HINTS[name.split(" ")[0] ?? ""] ?? ""}
          onPointerEnter={() => {
            store.hovered.value = token;
          }}
          onPointerLeave={() => {
            store.hovered.value = null;
          }}
          onClick={() => store.set({ selected_token: token, overlay: "attention" })}
        >
          {name}
          {shown && <span class="vaw-muted"> {percent(shown.values[token] ?? 0)}</span>}
        </button>
      ))}
    </fieldset>
  );
}
