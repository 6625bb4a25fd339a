// A panel whose code may come later than the others'.

import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { AnyModel } from "../../protocol/model";
import type { Store } from "../../state/store";
import { Panel } from "../../ui/controls";
import { laterPanels } from "./code_here";
import type { LaterPanels } from "./later_panels";
import type { PanelEntry } from "./panels";

/** The views, a promise of them, or why they are not here. */
const views: Signal<LaterPanels | Promise<LaterPanels> | string | null> = signal(null);

/** Asks for the views, unless they are here or on their way. */
function ask(model: AnyModel): void {
  if (views.peek() !== null && typeof views.peek() !== "string") return;
  const coming = laterPanels(model);
  views.value = coming;
  if (coming instanceof Promise) {
    const take = (here: LaterPanels | string) => {
      views.value = here;
    };
    coming.then(take, (error) => take(error instanceof Error ? error.message : String(error)));
  }
}

/** The view of a panel; its title, until the code has come. */
export function Later({ store, panel }: { store: Store; panel: PanelEntry }) {
  useEffect(() => {
    const { model } = store;
    const again = () => ask(model);
    again();
    model.on("change:_more", again); // a cell that ran long sends it after all
    return () => model.off("change:_more", again);
  }, [store]);
  const here = views.value;
  if (here !== null && typeof here === "object" && !(here instanceof Promise)) {
    const View = here[panel.id as keyof LaterPanels];
    return <View store={store} />;
  }
  return (
    <Panel title={panel.title} sees="" name={panel.id}>
      <p class="vaw-muted" role="status">
        {typeof here === "string" ? here : "Its code is on the way …"}
      </p>
    </Panel>
  );
}
