// A view whose code may come later than the rest of the widget's.

import { type Signal, signal } from "@preact/signals";
import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import type { AnyModel } from "../protocol/model";
import type { Store } from "../state/store";
import type { ViewProps } from "./view";

type Views = Readonly<Record<string, ComponentType<ViewProps>>>;

/** What gives the views: at once where their code is in the same file. */
type Code<V extends Views> = (model: AnyModel) => V | Promise<V>;

/** The views, a promise of them, or why they are not here. */
type Arrival = Signal<Views | Promise<Views> | string | null>;

const arrivals = new Map<Code<Views>, Arrival>();

/** Asks for the views, unless they are here or on their way. */
function ask(code: Code<Views>, model: AnyModel): Arrival {
  const views: Arrival = arrivals.get(code) ?? signal(null);
  arrivals.set(code, views);
  if (views.peek() !== null && typeof views.peek() !== "string") return views;
  const coming = code(model);
  views.value = coming;
  if (coming instanceof Promise) {
    const take = (here: Views | string) => {
      views.value = here;
    };
    coming.then(take, (error) => take(error instanceof Error ? error.message : String(error)));
  }
  return views;
}

interface Props<V extends Views> {
  store: Store;
  code: Code<V>;
  name: keyof V & string;
  /** What stands there until the code has come, or where it does not, around words that say so. */
  around?: (says: ComponentChildren) => ComponentChildren;
}

export function Later<V extends Views>({ store, code, name, around = (says) => says }: Props<V>) {
  const { model } = store;
  const here = useMemo(() => ask(code, model), [code, model]).value;
  useEffect(() => {
    const again = () => ask(code, model);
    model.on("change:_more", again); // a cell that ran long sends it after all
    return () => model.off("change:_more", again);
  }, [code, model]);
  if (here !== null && typeof here === "object" && !(here instanceof Promise)) {
    const View = here[name] as ComponentType<ViewProps>;
    return <View store={store} />;
  }
  return around(
    <p class="vaw-muted" role="status">
      {typeof here === "string" ? here : "Its code is on the way …"}
    </p>,
  );
}
