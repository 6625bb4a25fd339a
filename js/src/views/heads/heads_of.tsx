// Of what the importance of heads is shown: of this image, or of all images of a folder, which is
// read as it fills; and by which metric.

import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { quantityName, storedOf } from "../../state/stored";
import { Segmented, Select } from "../../ui/controls";
import { useLooking } from "../../ui/use_looking";

const OF = [
  { key: "image", label: "this image", hint: "How much the decision on this image needs a head." },
  { key: "images", label: "all images", hint: "The mean over the images of the folder." },
] as const;

export function HeadsOf({ store, info }: { store: Store; info: ModelInfo }) {
  const stored = storedOf(store.traits._stored.value);
  const overImages = stored !== null && store.importanceOf.value === "images";
  useLooking(store, overImages);
  return (
    <>
      {stored && (
        <Segmented
          label="of which images"
          options={OF}
          value={store.importanceOf.value}
          onChange={(of) => {
            store.importanceOf.value = of;
          }}
          testid="heads-of"
        />
      )}
      {overImages ? (
        <Select
          label="metric"
          testid="metric"
          options={stored.quantities.map((key) => ({ key, label: quantityName(info, key) }))}
          value={stored.quantity}
          onChange={(quantity) => {
            store.request("stored_show", { quantity, of_class: stored.of_class });
          }}
        />
      ) : (
        <Select
          label="metric"
          testid="metric"
          options={info.metrics}
          value={store.traits.metric.value}
          onChange={(metric) => store.set({ metric })}
        />
      )}
    </>
  );
}
