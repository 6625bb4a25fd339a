// What the map of a folder says to those who hear the page.

import type { ModelInfo, StoredInfo } from "../../protocol/schema";
import { type Cloud, imagesOf, NO_CLASS } from "../../state/stored";
import { classesOf, className, many } from "../../state/words";
import { inSight, type Zoom } from "../../ui/use_zoom";
import { pointOf } from "./stored_paint";

/** "1,500 images of 5 classes", and how many of very many are drawn. */
export function mapSays({ classes_in_all }: StoredInfo, { images, total }: Cloud): string {
  const of = classes_in_all > 0 ? ` of ${classesOf(classes_in_all)}` : "";
  const drawn = images.length < total ? `, ${many(images.length)} of them drawn` : "";
  return `${imagesOf(total)}${of}${drawn}`;
}

/** What is shown after the map was moved, and the image in the middle, which Enter opens. */
export function viewSays(info: ModelInfo | null, cloud: Cloud, zoom: Zoom, lit: number): string {
  const { places } = cloud;
  const { left, right, bottom, top } = inSight(zoom.view.peek(), zoom.size.width, zoom.size.height);
  let shown = 0;
  for (let i = 0; i < places.length; i += 2) {
    const [x, y] = [places[i] as number, places[i + 1] as number];
    if (x >= left && x <= right && y >= bottom && y <= top) shown += 1;
  }
  const index = cloud.classes[pointOf(cloud, lit)] ?? NO_CLASS;
  const named = info && index !== NO_CLASS ? `, ${className(info, index)}` : "";
  const middle = lit < 0 ? "" : `; nearest to the middle image ${lit}${named}`;
  return `${imagesOf(shown)} in view${middle}`;
}
