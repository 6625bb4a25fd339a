// Attention inspector: what a patch looks at, and what looks at it.

import { attentionMap } from "../../state/shown_attention";
import type { Store } from "../../state/store";
import { mapTable } from "../../state/tables";
import { directionWords, headName, tokenName } from "../../state/words";
import { attentionSays, DirectionPicker, HeadPicker } from "../../ui/attention_controls";
import { ColorBar } from "../../ui/colorbar";
import { Panel } from "../../ui/controls";
import { OverlayControls } from "../../ui/overlay_controls";
import { OwnPictures } from "../../ui/own_pictures/own_pictures";
import { PatchPicture } from "../../ui/patch_picture";
import { TokenChips } from "../../ui/token_chips";
import { SmallMultiples } from "./small_multiples";

const SEES =
  "The picture with the attention of the marked patch: bright is what it attends to. Point at " +
  "another patch to see its attention.";

export function Inspector({ store }: { store: Store }) {
  const info = store.info.value;
  if (!info) return null;
  const { direction, selected_layer, selected_head, colormap } = store.traits;
  const [layer, head] = [selected_layer.value, selected_head.value];
  return (
    <Panel
      title="Patch"
      sees={SEES}
      name="inspector"
      saves="attention"
      controls={<DirectionPicker store={store} />}
      table={() => mapTable([[attentionSays(store, info, layer, head), attentionMap(store)]])}
    >
      <div class="vaw-inspect">
        <div class="vaw-inspect-picture">
          <p class="vaw-says" aria-live="polite">
            <b>{tokenName(info, store.shownToken.value)}</b> {directionWords(direction.value)} …{" "}
            <span class="vaw-muted">{headName(layer, head)}</span>
          </p>
          <PatchPicture
            store={store}
            info={info}
            map={attentionMap}
            label={attentionSays(store, info, layer, head)}
          />
          <TokenChips store={store} info={info} />
          <ColorBar
            low={0}
            high={attentionMap(store)?.high ?? Number.NaN}
            colormap={colormap.value}
            label="attention"
            hint="Share of the attention after the softmax. The heads of a layer share a scale; their mean has its own."
          />
          <OwnPictures store={store} info={info} />
        </div>
        <div class="vaw-inspect-side">
          <div class="vaw-row">
            <HeadPicker store={store} info={info} />
          </div>
          <OverlayControls store={store} />
          <SmallMultiples store={store} info={info} />
        </div>
      </div>
    </Panel>
  );
}
