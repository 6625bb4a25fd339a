// The Explorer: picture, heads, decision and film of one model and one image, linked.

import type { Store } from "../state/store";
import { ClassPicker } from "./class_picker";
import { Fold } from "./controls";
import { Decision } from "./decision";
import { HeadDetail } from "./head_detail";
import { HeadGrid } from "./head_grid";
import { Inspector } from "./inspector";
import { Scrubber } from "./scrubber";
import { StrengthPlots } from "./strength_view";

export function Explorer({ store }: { store: Store }) {
  const info = store.info.value;
  if (!info) return null;
  const heads = Math.max(...info.num_heads);
  const tall = heads > 6; // a tall grid of heads leaves room below the picture
  return (
    <div class="vaw-explorer">
      <div class="vaw-about">
        <ClassPicker store={store} info={info} />
        <span class="vaw-fact" title="the image">
          {info.image_name}
        </span>
        <span class="vaw-fact" title="the model">
          {info.name}
        </span>
        <span class="vaw-muted">
          {info.num_layers} layers × {heads} heads, {info.rows} × {info.cols} patches
        </span>
      </div>
      <div class="vaw-stack">
        <Inspector store={store} compact />
        {tall && <Decision store={store} />}
      </div>
      <div class="vaw-stack">
        <HeadGrid store={store} />
        <Fold title="One head in full" testid="fold-detail">
          <HeadDetail store={store} />
        </Fold>
        <Fold title="How far heads look" testid="fold-strength">
          <StrengthPlots store={store} />
        </Fold>
        <Scrubber store={store} compact />
        {!tall && <Decision store={store} />}
      </div>
    </div>
  );
}
