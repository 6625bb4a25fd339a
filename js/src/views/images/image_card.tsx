// One image of the set, larger, with what it is and what the model makes of it.

import { useEffect, useRef } from "preact/hooks";
import { sharp } from "../../draw/heatmap";
import type { ModelInfo, Overview } from "../../protocol/schema";
import { imageName, verdict } from "../../state/overview";
import { askPicture, knownPicture } from "../../state/pictures";
import type { Store } from "../../state/store";
import { type Atlas, drawThumbnail } from "./image_paint";

const LONGER = 168;
/** Pictures are asked for once the pointer rests so long, in milliseconds. */
const RESTS = 90;

interface Props {
  store: Store;
  info: ModelInfo;
  overview: Overview;
  atlas: Atlas | null;
  /** The image, or -1 for none. */
  image: number;
}

export function ImageCard({ store, info, overview, atlas, image }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scale = LONGER / Math.max(info.image_width, info.image_height);
  const [width, height] = [info.image_width * scale, info.image_height * scale];
  useEffect(() => {
    const context = canvas.current && sharp(canvas.current, width, height);
    if (!context) return;
    const box = { x: 0, y: 0, width, height };
    context.clearRect(0, 0, width, height);
    if (image < 0) return;
    const large = knownPicture(store, image);
    if (large) context.drawImage(large, 0, 0, width, height);
    else if (atlas) drawThumbnail(context, atlas, image, box);
    if (large) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const picture = await askPicture(store, image, abort.signal);
      if (picture) context.drawImage(picture, 0, 0, width, height);
    }, RESTS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [store, atlas, image, width, height]);
  const open = image >= 0 && image === store.traits.selected_image.value;
  return (
    <div class="vaw-image-card">
      <canvas
        ref={canvas}
        aria-hidden="true"
        style={{ width: `${width}px`, height: `${height}px` }}
      />
      <p data-testid="image-says">
        {image < 0 ? (
          <span class="vaw-muted">Move over an image to see it; click to open it everywhere.</span>
        ) : (
          <>
            <b>{imageName(overview, image)}</b>
            {open && <span class="vaw-muted"> (open)</span>}
            <br />
            {verdict(info, overview, image)}
          </>
        )}
      </p>
    </div>
  );
}
