// Prune until too little is left: the curve grows, and the heads that may go are pruned at its end.

import { useSignal } from "@preact/signals";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { outputName } from "../../state/words";
import { Select } from "../../ui/controls";

const FALLS = ["1", "2", "5", "10", "20"].map((key) => ({ key, label: `${key} %` }));

interface Props {
  store: Store;
  info: ModelInfo;
  orders: readonly { key: string; label: string; hint: string }[];
}

export function PruneUntil({ store, info, orders }: Props) {
  const order = useSignal(orders.some(({ key }) => key === "taylor") ? "taylor" : "greedy");
  const fall = useSignal("1");
  const problem = useSignal("");
  const labeled = "count" in store.traits.accuracy.value;
  const quantity = labeled ? "accuracy" : outputName(info);
  const label = `or until the ${quantity} ${quantity === "value" ? "moves" : "falls"} by`;
  return (
    <div class="vaw-row">
      <Select
        label={label}
        testid="prune-until-fall"
        options={FALLS}
        value={fall.value}
        onChange={(value) => {
          fall.value = value;
        }}
      />
      <Select
        label="by"
        testid="prune-until-order"
        options={orders}
        value={order.value}
        onChange={(value) => {
          order.value = value;
        }}
      />
      <button
        type="button"
        data-testid="prune-until"
        data-tip="Of the whole model's. The heads before that point are then pruned, in one step that can be undone."
        onClick={async () => {
          const asked = { order: order.value, fall: Number(fall.value) };
          problem.value = await store.request("prune_to", asked);
        }}
      >
        prune until then
      </button>
      {problem.value && <span role="alert">{problem.value}</span>}
    </div>
  );
}
