// What the model decides, with every head in place and without the pruned ones.

import type { Decision as Decided, DecisionRow } from "../../protocol/schema";
import { headKey } from "../../state/heads";
import type { Store } from "../../state/store";
import { counted, headName, probability } from "../../state/words";
import { Panel } from "../../ui/controls";

function headline({ target_name, target_before, target_after, pruned }: Decided): string {
  if (target_after === null) return `${target_name}: ${probability(target_before)}`;
  const heads = counted(pruned.length, "head");
  return `Without ${heads}, ${target_name} goes from ${probability(target_before)} to ${probability(target_after)}.`;
}

function Bar({ row, target }: { row: DecisionRow; target: boolean }) {
  return (
    <tr class={target ? "vaw-target" : ""}>
      <th scope="row" title={row.name}>
        {row.name}
      </th>
      <td class="vaw-bars" aria-hidden="true">
        <i class="vaw-before" style={{ width: `${row.before * 100}%` }} />
        {row.after !== null && <i class="vaw-after" style={{ width: `${row.after * 100}%` }} />}
      </td>
      <td class="vaw-number">{probability(row.before)}</td>
      {row.after !== null && <td class="vaw-number vaw-changed">→ {probability(row.after)}</td>}
    </tr>
  );
}

export function Decision({ store }: { store: Store }) {
  const decision = store.decision.value;
  if (!decision) return null;
  return (
    <Panel title="Decision" name="decision" note={headline(decision)}>
      <table class="vaw-table" data-testid="decision" hidden={decision.rows.length === 0}>
        <colgroup>
          <col class="vaw-col-name" />
          <col />
          <col class="vaw-col-before" />
          {decision.target_after !== null && <col class="vaw-col-after" />}
        </colgroup>
        <thead class="vaw-spoken">
          <tr>
            <th>class</th>
            <th>bar</th>
            <th>before</th>
            {decision.target_after !== null && <th>after pruning</th>}
          </tr>
        </thead>
        <tbody>
          {decision.rows.map((row) => (
            <Bar key={row.index} row={row} target={row.index === decision.target} />
          ))}
        </tbody>
      </table>
      {decision.pruned.length > 0 && (
        <div class="vaw-row">
          <span class="vaw-legend">
            <span>
              <i class="vaw-accent" /> before
            </span>
            <span>
              <i class="vaw-hurts" /> after pruning
            </span>
          </span>
          {decision.pruned.map(([layer, head]) => (
            <button
              type="button"
              class="vaw-chip"
              key={headKey(layer, head)}
              title="put this head back"
              onClick={() => store.togglePruned(layer, head)}
            >
              {headName(layer, head)} ×
            </button>
          ))}
        </div>
      )}
    </Panel>
  );
}
