// What is not there at first: other ways to show the heads, what is folded below them, and what is
// offered once some are pruned.

import type { ViewProps } from "../../ui/view";
import { CurvePanel } from "./curve_panel";
import { HeadChart } from "./head_chart";
import { PartialPanel } from "./partial_panel";
import { SaveModel } from "./save_model";

function Chart({ store }: ViewProps) {
  const info = store.info.value;
  return info && <HeadChart store={store} info={info} />;
}

export const later = {
  chart: Chart,
  save_model: SaveModel,
  partial: PartialPanel,
  curve: CurvePanel,
};
