// What the model decides, with every head in place and without the pruned ones.

import type { Decision as Decided, DecisionRow, ModelInfo } from "../../protocol/schema";
import { headKey } from "../../state/heads";
import type { Store } from "../../state/store";
import { counted, headName, number, output, outputName } from "../../state/words";
import { Panel } from "../../ui/controls";

function headline(info: ModelInfo, decision: Decided): string {
  const { target_name, target_before, target_after, pruned } = decision;
  const said = (value: number) => (info.by_class ? output(info, value) : number(value));
  if (target_after === null) return `${target_name}: ${said(target_before)}`;
  const heads = counted(pruned.length, "head");
  return `Without ${heads}, ${target_name} goes from ${said(target_before)} to ${said(target_after)}.`;
}

interface RowProps {
  info: ModelInfo;
  row: DecisionRow;
  target: boolean;
}

/** A class with its probability as a bar; a value has no bar, as nothing says how large one gets. */
function Row({ info, row, target }: RowProps) {
  return (
    <tr class={target ? "vaw-target" : ""}>
      <th scope="row" title={row.name}>
        {row.name}
      </th>
      {info.output !== "value" && (
        <td class="vaw-bars" aria-hidden="true">
          <i class="vaw-before" style={{ width: `${row.before * 100}%` }} />
          {row.after !== null && <i class="vaw-after" style={{ width: `${row.after * 100}%` }} />}
        </td>
      )}
      <td class="vaw-number">{output(info, row.before)}</td>
      {row.after !== null && <td class="vaw-number vaw-changed">→ {output(info, row.after)}</td>}
    </tr>
  );
}

function Table({ info, decision }: { info: ModelInfo; decision: Decided }) {
  const after = decision.target_after !== null;
  const bars = info.output !== "value";
  return (
    <table class="vaw-table" data-testid="decision" hidden={decision.rows.length === 0}>
      <colgroup>
        <col class={bars ? "vaw-col-name" : undefined} />
        {bars && <col />}
        <col class="vaw-col-before" />
        {after && <col class="vaw-col-after" />}
      </colgroup>
      <thead class="vaw-spoken">
        <tr>
          <th>{bars ? "class" : "output"}</th>
          {bars && <th>bar</th>}
          <th>{outputName(info)} before</th>
          {after && <th>after pruning</th>}
        </tr>
      </thead>
      <tbody>
        {decision.rows.map((row) => (
          <Row key={row.index} info={info} row={row} target={row.index === decision.target} />
        ))}
      </tbody>
    </table>
  );
}

function PrunedHeads(props: { store: Store; decision: Decided; bars: boolean }) {
  const { store, decision, bars } = props;
  return (
    <div class="vaw-row">
      {bars && (
        <span class="vaw-legend">
          <span>
            <i class="vaw-accent" /> before
          </span>
          <span>
            <i class="vaw-hurts" /> after pruning
          </span>
        </span>
      )}
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
  );
}

export function Decision({ store }: { store: Store }) {
  const decision = store.decision.value;
  const info = store.info.value;
  if (!decision || !info) return null;
  // One logit gives yes and no, which do add up.
  const independent = info.output === "sigmoid" && info.num_classes > 2;
  return (
    <Panel title="Decision" name="decision" note={headline(info, decision)}>
      <Table info={info} decision={decision} />
      {independent && decision.rows.length > 0 && (
        <p class="vaw-muted">Each class is there or not: probabilities need not add up to 1.</p>
      )}
      {decision.pruned.length > 0 && (
        <PrunedHeads store={store} decision={decision} bars={info.output !== "value"} />
      )}
    </Panel>
  );
}
