// Attention inspector: what a patch looks at, and what looks at it.

import type { Direction, ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { directionWords, headName, tokenName } from "../../state/words";
import { ColorBar } from "../../ui/colorbar";
import { Panel, Segmented, Select } from "../../ui/controls";
import { OverlayControls } from "../../ui/overlay_controls";
import { shownAttention } from "./inspector_paint";
import { PatchPicture } from "./patch_picture";
import { SmallMultiples } from "./small_multiples";
import { TokenChips } from "./token_chips";

const DIRECTIONS = [
  {
    key: "attends_to",
    label: "attends to",
    hint: "The token's row of the attention matrix: where it takes information from.",
  },
  {
    key: "attended_by",
    label: "attended by",
    hint: "The token's column of the attention matrix: who takes information from it.",
  },
] as const;

/** Layer and head pickers; -1 is the mean of heads. */
function HeadPicker({ store, info }: { store: Store; info: ModelInfo }) {
  const { selected_layer, selected_head } = store.traits;
  const layers = info.num_heads.map((_, i) => ({ key: String(i), label: String(i) }));
  const count = info.num_heads[selected_layer.value] ?? 0;
  const heads = Array.from({ length: count + 1 }, (_, i) => ({
    key: String(i - 1),
    label: i === 0 ? "mean of heads" : String(i - 1),
  }));
  return (
    <>
      <Select
        label="layer"
        testid="layer"
        value={String(selected_layer.value)}
        options={layers}
        onChange={(value) => store.set({ selected_layer: Number(value) })}
      />
      <Select
        label="head"
        testid="head"
        value={String(selected_head.value)}
        options={heads}
        onChange={(value) => store.set({ selected_head: Number(value) })}
      />
    </>
  );
}

export function Inspector({ store, compact = false }: { store: Store; compact?: boolean }) {
  const info = store.info.value;
  if (!info) return null;
  const { direction, selected_layer, selected_head, colormap } = store.traits;
  const shown = shownAttention(store, info, selected_head.value);
  return (
    <Panel
      title="Patch"
      name="inspector"
      controls={
        <Segmented
          label="direction"
          options={DIRECTIONS}
          value={direction.value}
          onChange={(value: Direction) => store.set({ direction: value })}
        />
      }
    >
      <div class={compact ? "vaw-inspect vaw-inspect-compact" : "vaw-inspect"}>
        <div class="vaw-inspect-picture">
          <p class="vaw-says" aria-live="polite">
            <b>{tokenName(info, store.shownToken.value)}</b> {directionWords(direction.value)} …{" "}
            <span class="vaw-muted">{headName(selected_layer.value, selected_head.value)}</span>
          </p>
          <PatchPicture store={store} info={info} />
          <TokenChips store={store} info={info} />
          <ColorBar
            low={0}
            high={shown?.high ?? Number.NaN}
            colormap={colormap.value}
            label="attention"
            hint="Share of the attention after the softmax. All heads of the layer share this scale."
          />
        </div>
        <div class="vaw-inspect-side">
          <div class="vaw-row">
            <HeadPicker store={store} info={info} />
          </div>
          <OverlayControls store={store} />
          {!compact && <SmallMultiples store={store} info={info} />}
        </div>
      </div>
    </Panel>
  );
}
