// What the model decides now, and what it decided before heads were pruned. A row explains its class.

import type { Decision as Decided, DecisionRow, ModelInfo } from "../../protocol/schema";
import { headKey } from "../../state/heads";
import type { Store } from "../../state/store";
import { decisionTable } from "../../state/tables";
import { headName, now, output, outputName } from "../../state/words";
import { Panel } from "../../ui/controls";
import { headline } from "./headline";

const SEES =
  "What the model says the picture shows, the most likely first; after pruning, beside what it " +
  "said before. A click on a class explains that one.";

interface RowProps {
  store: Store;
  info: ModelInfo;
  row: DecisionRow;
  explained: boolean;
}

/** A class with its probability as a bar; a value has no bar, as nothing says how large one gets. */
function Row({ store, info, row, explained }: RowProps) {
  const changed = row.after !== null;
  return (
    <tr class={explained ? "vaw-target" : ""}>
      <th scope="row">
        <button
          type="button"
          class="vaw-explain"
          data-testid={`explain-${row.index}`}
          aria-pressed={explained}
          data-tip={explained ? "the maps and bars explain this class" : `explain ${row.name}`}
          onClick={() => {
            if (!explained) store.set({ target: row.index });
          }}
        >
          {row.name}
        </button>
      </th>
      {info.output !== "value" && (
        <td class="vaw-bars" aria-hidden="true">
          {changed && <i class="vaw-before" style={{ width: `${row.before * 100}%` }} />}
          <i class="vaw-now" style={{ width: `${now(row) * 100}%` }} />
        </td>
      )}
      <td class="vaw-number">{output(info, now(row))}</td>
      {changed && <td class="vaw-number vaw-was">{output(info, row.before)}</td>}
    </tr>
  );
}

function Table({ store, info, decision }: { store: Store; info: ModelInfo; decision: Decided }) {
  const changed = decision.target_after !== null;
  const bars = info.output !== "value";
  return (
    <table class="vaw-table vaw-decides" data-testid="decision" hidden={decision.rows.length === 0}>
      <colgroup>
        <col class={bars ? "vaw-col-name" : undefined} />
        {bars && <col />}
        <col class="vaw-col-now" />
        {changed && <col class="vaw-col-was" />}
      </colgroup>
      <thead class={changed ? "" : "vaw-spoken"}>
        <tr>
          <th scope="col">{bars ? "class" : "output"}</th>
          {bars && <td />}
          <th scope="col" data-tip={outputName(info)}>
            now
          </th>
          {changed && <th scope="col">before</th>}
        </tr>
      </thead>
      <tbody>
        {decision.rows.map((row) => (
          <Row
            key={row.index}
            store={store}
            info={info}
            row={row}
            explained={row.index === decision.target}
          />
        ))}
      </tbody>
    </table>
  );
}

function PrunedHeads({ store, decision }: { store: Store; decision: Decided }) {
  return (
    <div class="vaw-row">
      <span class="vaw-muted">without</span>
      {decision.pruned.map(([layer, head]) => (
        <button
          type="button"
          class="vaw-chip"
          key={headKey(layer, head)}
          data-tip="put this head back"
          onClick={() => store.togglePruned(layer, head)}
        >
          {headName(layer, head)} ×
        </button>
      ))}
    </div>
  );
}

export function Decision({ store }: { store: Store }) {
  const decision = store.decision.value;
  const info = store.info.value;
  if (!decision || !info) return null;
  // One logit gives yes and no, which do add up.
  const independent = info.output === "sigmoid" && info.num_classes > 2;
  return (
    <Panel title="Decision" sees={SEES} name="decision" table={() => decisionTable(decision)}>
      <p class="vaw-headline" role="status" data-testid="headline">
        {headline(info, decision)}
      </p>
      <Table store={store} info={info} decision={decision} />
      {independent && decision.rows.length > 0 && (
        <p class="vaw-muted">Each class is there or not: probabilities need not add up to 1.</p>
      )}
      {decision.pruned.length > 0 && <PrunedHeads store={store} decision={decision} />}
    </Panel>
  );
}
