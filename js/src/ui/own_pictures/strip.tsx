// Small pictures in a row: those that were given or brought along, then the images of the set.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { pixelsOf } from "../../draw/thumbnails";
import type { Tensor } from "../../protocol/safetensors";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";

/** Of a larger set the others are in the panel of images. */
const SHOWN = 60;

interface ThumbProps {
  pictures: Tensor<Uint8Array>;
  index: number;
  name: string;
  chosen: boolean;
  testid: string;
  onClick: () => void;
}

function Thumb({ pictures, index, name, chosen, testid, onClick }: ThumbProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const pixels = pixelsOf(pictures, index);
    const element = canvas.current as HTMLCanvasElement;
    Object.assign(element, { width: pixels.width, height: pixels.height });
    element.getContext("2d")?.putImageData(pixels, 0, 0);
  }, [pictures, index]);
  return (
    <button
      type="button"
      class="vaw-thumb"
      aria-pressed={chosen}
      aria-label={`look at ${name}`}
      data-tip={name}
      data-testid={testid}
      onClick={onClick}
    >
      <canvas ref={canvas} />
    </button>
  );
}

export function Strip({ store, info }: { store: Store; info: ModelInfo }) {
  const problem = useSignal("");
  const { names, shown } = store.traits._brought.value;
  const thumbnails = store.broughtThumbnails.value?.tensors.thumbnails;
  const set = store.thumbnails.value?.tensors.thumbnails;
  const overview = store.traits._overview.value;
  const setNames = "names" in overview ? overview.names : [];
  const selected = store.traits.selected_image.value;
  useEffect(() => {
    if (info.set_size > 0 && !set) store.request("images", {});
  }, [store, info.set_size, set]);
  if (names.length < 2 && info.set_size === 0) return null;
  const again = async (index: number) => {
    problem.value = await store.request("brought_picture", { index });
  };
  return (
    <>
      <div class="vaw-strip" role="group" aria-label="pictures to look at">
        {thumbnails &&
          names.map((name, index) => (
            <Thumb
              key={`own ${index} ${name}`}
              pictures={thumbnails}
              index={index}
              name={name}
              chosen={index === shown}
              testid={`own-${index}`}
              onClick={() => again(index)}
            />
          ))}
        {thumbnails && set && <span class="vaw-strip-gap" />}
        {set &&
          Array.from({ length: Math.min(SHOWN, set.shape[0] ?? 0) }, (_, index) => (
            <Thumb
              key={`set ${index} ${info.set_size}`}
              pictures={set}
              index={index}
              name={setNames[index] || `image ${index} of the set`}
              chosen={index === selected}
              testid={`set-${index}`}
              onClick={() => store.set({ selected_image: index })}
            />
          ))}
      </div>
      {problem.value && <p role="alert">{problem.value}</p>}
    </>
  );
}
