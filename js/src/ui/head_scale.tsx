// Heads share a color scale unless the user asks otherwise.

import type { Store } from "../state/store";
import { Segmented } from "./controls";

const SCALES = [
  { key: "shared", label: "one scale", hint: "Colors mean the same in every head." },
  {
    key: "own",
    label: "own scales",
    hint: "Each head from 0 to its own maximum: flat heads look busy.",
  },
] as const;

export function HeadScale({ store }: { store: Store }) {
  return (
    <Segmented
      label="scale of the heads"
      options={SCALES}
      value={store.headScale.value}
      onChange={(value) => {
        store.headScale.value = value;
      }}
    />
  );
}
