// The large picture: what speaks for a class, the attention of a patch, or nothing lies on it. What
// the pointer is over elsewhere (a head, a layer, a compared map) is shown here meanwhile.

import type { ModelInfo, Overlay } from "../../protocol/schema";
import { mapsRefused } from "../../state/maps";
import { mapOnPicture, type OnPicture, overlayShown } from "../../state/overlay";
import type { Store } from "../../state/store";
import { mapTable } from "../../state/tables";
import { methodName } from "../../state/words";
import { attentionSays, DirectionPicker, HeadPicker } from "../../ui/attention_controls";
import { BeforeAfter } from "../../ui/before_after";
import { ColorBar } from "../../ui/colorbar";
import { Fold, Panel, Segmented } from "../../ui/controls";
import { OverlayControls } from "../../ui/overlay_controls";
import { OwnPictures } from "../../ui/own_pictures/own_pictures";
import { PatchPicture } from "../../ui/patch_picture";
import { TokenChips } from "../../ui/token_chips";

const SEES =
  "The picture as the model sees it, cut into patches. Colors say which patches speak for the " +
  "class, or which ones the marked patch attends to. Point at a patch, a head or a layer to see " +
  "it here.";

const PATCH = "the attention of a patch: where it takes information from, or who takes it from it";

function overlays(store: Store, info: ModelInfo) {
  const target = store.decision.value?.target_name;
  const why = target ? `why ${target}?` : "explanation";
  return [
    { key: "explanation", label: why, hint: `by ${methodName(info, store.traits.method.value)}` },
    { key: "attention", label: "attention", hint: PATCH },
    { key: "plain", label: "plain", hint: "the picture as the model sees it (o)" },
  ] as const;
}

/** What stands on the picture, in a sentence. */
export function pictureSays(store: Store, info: ModelInfo, shown: OnPicture): string {
  if (shown.kind === "attention") return attentionSays(store, info, shown.layer, shown.head);
  if (shown.kind === "map") return shown.named.name;
  if (shown.kind === "plain") {
    return `the picture as the model sees it: ${info.rows} × ${info.cols} patches`;
  }
  const method = store.traits.method.value;
  if (mapsRefused(store)) return `${methodName(info, method)} is refused for this model`;
  const by = `up to layer ${shown.layer}, by ${methodName(info, method)}`;
  const target = store.decision.value?.target_name;
  if (!target) return `what the output draws on, ${by}`;
  if (info.class_agnostic.includes(method)) return `what it draws on, whichever the class, ${by}`;
  return `what speaks for ${target}, ${by}`;
}

function Scale({ store, info, shown }: { store: Store; info: ModelInfo; shown: OnPicture }) {
  const map = mapOnPicture(store);
  const { colormap, method } = store.traits;
  const explained = methodName(info, method.value);
  const label =
    shown.kind === "attention" ? "attention" : shown.kind === "explanation" ? explained : "";
  return (
    <ColorBar
      low={map?.low ?? Number.NaN}
      high={map?.high ?? Number.NaN}
      colormap={colormap.value}
      label={label}
      hint={
        shown.kind === "attention"
          ? "Share of the attention after the softmax. The heads of a layer share a scale; their mean has its own."
          : (info.methods.find(({ key }) => key === method.value)?.hint ?? "")
      }
    />
  );
}

export function Picture({ store }: { store: Store }) {
  const info = store.info.value;
  if (!info) return null;
  const shown = overlayShown(store, info);
  const says = pictureSays(store, info, shown);
  return (
    <Panel
      title="Picture"
      sees={SEES}
      name="inspector"
      saves="picture"
      table={() => mapTable([[says, mapOnPicture(store)]])}
      controls={
        <Segmented
          label="what lies on the picture"
          testid="overlay"
          options={overlays(store, info)}
          value={store.traits.overlay.value}
          onChange={(value: Overlay) => store.set({ overlay: value })}
        />
      }
    >
      <p class="vaw-says" aria-live="polite" data-testid="picture-says">
        {says}
      </p>
      <PatchPicture store={store} info={info} map={mapOnPicture} label={says} />
      <div class="vaw-row vaw-picture-foot">
        <TokenChips store={store} info={info} />
        <Scale store={store} info={info} shown={shown} />
      </div>
      {store.traits.overlay.value === "attention" && (
        <div class="vaw-row">
          <DirectionPicker store={store} />
          <HeadPicker store={store} info={info} />
        </div>
      )}
      {store.traits.overlay.value === "explanation" && <BeforeAfter store={store} />}
      <OwnPictures store={store} info={info} />
      <Fold title="Colors and preparation" testid="fold-colors">
        <OverlayControls store={store} />
        <p class="vaw-muted">image: {info.preparation}</p>
      </Fold>
    </Panel>
  );
}
