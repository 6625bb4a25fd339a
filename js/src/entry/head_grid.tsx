import type { Store } from "../state/store";
import { Decision } from "../views/decision/decision";
import { HeadGrid } from "../views/heads/head_grid";
import { widget } from "./mount";

function HeadGridWithDecision({ store }: { store: Store }) {
  return (
    <div class="vaw-stack">
      <HeadGrid store={store} />
      <Decision store={store} />
    </div>
  );
}

export default widget(HeadGridWithDecision, "Head importance");
