// Which attention is shown: of a token or to it, of which layer and head.

import type { Direction, ModelInfo } from "../protocol/schema";
import type { Store } from "../state/store";
import { directionWords, headName, tokenName } from "../state/words";
import { Segmented, Select } from "./controls";

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
export function HeadPicker({ store, info }: { store: Store; info: ModelInfo }) {
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

export function DirectionPicker({ store }: { store: Store }) {
  return (
    <Segmented
      label="direction"
      testid="direction"
      options={DIRECTIONS}
      value={store.traits.direction.value}
      onChange={(value: Direction) => store.set({ direction: value })}
    />
  );
}

/** "patch (3, 4) attends to … layer 5, head 2". */
export function attentionSays(store: Store, info: ModelInfo, layer: number, head: number): string {
  const token = tokenName(info, store.shownToken.value);
  return `${token} ${directionWords(store.traits.direction.value)} … ${headName(layer, head)}`;
}
