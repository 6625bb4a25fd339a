// One image of a folder: what it is, which heads matter most for it, and its picture if there is one.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { sharp } from "../../draw/heatmap";
import { decode } from "../../protocol/safetensors";
import type {
  ModelInfo,
  StoredImage,
  StoredImageMetadata,
  StoredInfo,
} from "../../protocol/schema";
import { headsInOrder } from "../../state/heads";
import { askPicture } from "../../state/pictures";
import type { Store } from "../../state/store";
import { quantityName } from "../../state/stored";
import { className, headName, number, output } from "../../state/words";

const SIDE = 168;
/** Asked for once the pointer rests so long, in milliseconds. */
const RESTS = 90;

interface Card {
  image: number;
  name: string;
  /** Its class and the probability of that. */
  verdict: string;
  most: string;
  whyNot: string;
}

function cardOf(info: ModelInfo, stored: StoredInfo, image: number, buffer: DataView): Card {
  const { tensors, metadata } = decode<StoredImage, StoredImageMetadata>(buffer);
  const { data, shape } = tensors.values;
  const heads = headsInOrder(info.num_heads)
    .map((head) => ({ head, value: data[head[0] * (shape[1] ?? 0) + head[1]] ?? Number.NaN }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => b.value - a.value);
  const [first] = heads;
  const index = Number(metadata.of_class);
  const probability = Number(metadata.probability);
  return {
    image,
    name: metadata.name,
    verdict: [
      ...(index >= 0 ? [className(info, index)] : []),
      ...(Number.isFinite(probability) ? [output(info, probability)] : []),
    ].join(", "),
    most: first
      ? `${quantityName(info, stored.quantity)} is largest of ${headName(...first.head)}: ${number(first.value)}`
      : "",
    whyNot: metadata.why_not,
  };
}

interface Props {
  store: Store;
  info: ModelInfo;
  stored: StoredInfo;
  /** The image, or -1 for none. */
  image: number;
}

export function StoredCard({ store, info, stored, image }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const card = useSignal<Card | null>(null);
  const { quantity, has_files } = stored;
  useEffect(() => {
    if (image < 0) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const { buffer } = await store.requests.ask("stored_image", { index: image }, abort.signal);
        card.value = cardOf(info, stored, image, buffer);
        if (card.value.whyNot) return;
        const picture = await askPicture(store, image, abort.signal);
        const context = canvas.current && sharp(canvas.current, SIDE, SIDE);
        if (!context || !picture) return;
        const scale = SIDE / Math.max(picture.width, picture.height);
        const [w, h] = [picture.width * scale, picture.height * scale];
        context.clearRect(0, 0, SIDE, SIDE);
        context.drawImage(picture, (SIDE - w) / 2, (SIDE - h) / 2, w, h);
      } catch {
        // what was said of another image goes, below
      }
    }, RESTS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [store, info, quantity, image, card]);
  const shown = card.value?.image === image ? card.value : null;
  return (
    <div class={has_files ? "vaw-image-card" : "vaw-image-card vaw-without-picture"}>
      {has_files && (
        <canvas
          ref={canvas}
          key={image}
          aria-hidden="true"
          style={{ width: `${SIDE}px`, height: `${SIDE}px` }}
        />
      )}
      <p data-testid="stored-says">
        {image < 0 ? (
          <span class="vaw-muted">
            Move over a dot to read of its image{has_files && "; click to open it everywhere"}.
          </span>
        ) : (
          <>
            <b>{shown?.name ?? `image ${image}`}</b>
            {shown && shown.name !== `image ${image}` && (
              <span class="vaw-muted"> (image {image})</span>
            )}
            <br />
            {shown?.verdict}
            {shown?.verdict && <br />}
            {shown?.most}
            {shown?.whyNot && (
              <>
                <br />
                <span class="vaw-muted">{shown.whyNot}</span>
              </>
            )}
          </>
        )}
      </p>
    </div>
  );
}
