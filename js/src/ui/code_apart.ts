// In notebooks, the code of views that are not open at first comes in a model of its own, which the
// kernel sends once the first picture is on its way, and is run once a view is opened. This stands
// for each `code_here.ts` of a widget in two parts.

import type { AnyModel } from "../protocol/model";
import { shared } from "./shared";

/** So long may a busy kernel take to send it. */
const SOON_MS = 20_000;

const NOT_HERE =
  "The code of this part is not on this page: run the widget's cell again to have it.";

export async function later(model: AnyModel) {
  const reference = String(await arrived(model)).slice("IPY_MODEL_".length);
  const bundle = await model.widget_manager?.get_model?.(reference).catch(() => undefined);
  const script = bundle?.get("script");
  if (typeof script !== "string" || script === "") throw new Error(NOT_HERE);
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { default: run } = await import(url);
  URL.revokeObjectURL(url);
  return run(shared());
}

/** What refers to the model with the code, which a kernel sends soon. */
function arrived(model: AnyModel): Promise<unknown> {
  if (model.get("_more")) return Promise.resolve(model.get("_more"));
  if (model.widget_manager?.kernel === null) return Promise.reject(new Error(NOT_HERE));
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      model.off("change:_more", look);
    };
    const look = () => {
      if (!model.get("_more")) return;
      stop();
      resolve(model.get("_more"));
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error(NOT_HERE));
    }, SOON_MS);
    model.on("change:_more", look);
  });
}
