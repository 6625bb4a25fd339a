import { widget } from "../mount";
import type { Store } from "../state/store";
import { Decision } from "../views/decision";
import { HeadGrid } from "../views/head_grid";

function HeadGridWithDecision({ store }: { store: Store }) {
  return (
    <div class="vaw-stack">
      <HeadGrid store={store} />
      <Decision store={store} />
    </div>
  );
}

export default widget(HeadGridWithDecision, "Head importance");
