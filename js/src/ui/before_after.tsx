// The maps as they were before pruning, or as they are now.

import type { Store } from "../state/store";
import { Segmented } from "./controls";

export function BeforeAfter({ store }: { store: Store }) {
  const there = `${store.traits.method.value}.before` in store.maps.value;
  if (!there) return null;
  return (
    <Segmented
      label="before or after pruning"
      options={[
        { key: "before", label: "before" },
        { key: "after", label: "after pruning" },
      ]}
      value={store.showBefore.value ? "before" : "after"}
      onChange={(value) => {
        store.showBefore.value = value === "before";
      }}
    />
  );
}
