// Which part of one head's attention the decision rests on: parts of it set to zero in turn.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PartialPruning } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { partsTable } from "../../state/tables";
import { headName, number, output } from "../../state/words";
import { SaveMenu } from "../../ui/save_menu";

/** The attention matrix, the class token's row and column narrow, the zeroed part filled. */
function Pictogram({ zeroed }: { zeroed: PartialPruning["rows"][number]["zeroed"] }) {
  const cuts = [0, 6, 26];
  return (
    <svg class="vaw-pictogram" width="26" height="26" aria-hidden="true">
      {zeroed.flatMap((row, q) =>
        row.map((isZero, k) => (
          <rect
            key={`${q}-${k}`}
            x={cuts[k]}
            y={cuts[q]}
            width={(cuts[k + 1] ?? 0) - (cuts[k] ?? 0) - 1}
            height={(cuts[q + 1] ?? 0) - (cuts[q] ?? 0) - 1}
            fill={isZero ? "var(--vaw-hurts)" : "var(--vaw-line)"}
          />
        )),
      )}
    </svg>
  );
}

export function PartialPanel({ store }: { store: Store }) {
  const { selected_layer, selected_head, partial, _version: version } = store.traits;
  const [layer, head] = [selected_layer.value, selected_head.value];
  const pruned = store.pruned.value.has(layer, head);
  const asked = version.value;
  const failed = useSignal("");
  useEffect(() => {
    failed.value = "";
    if (head < 0 || pruned || asked === 0) return;
    store.request("partial", { layer, head }).then((message) => {
      failed.value = message;
    });
  }, [store, layer, head, pruned, asked, failed]);
  const info = store.info.value;
  if (!info) return null;
  const said = (p: number) => (info.output === "value" ? number(p) : p.toFixed(2));
  if (head < 0) return <p class="vaw-muted">Choose one head: click it in the grid.</p>;
  if (pruned) return <p class="vaw-muted">This head is pruned: nothing of it is left.</p>;
  const pruning = partial.value;
  if (!("rows" in pruning) || pruning.layer !== layer || pruning.head !== head) {
    if (failed.value) return <p role="alert">{failed.value}</p>;
    return <p class="vaw-muted">Pruning parts of {headName(layer, head)} …</p>;
  }
  return (
    <>
      <div class="vaw-row">
        <SaveMenu name="parts" table={() => partsTable(pruning as PartialPruning)} />
      </div>
      <table class="vaw-table vaw-parts" data-testid="partial">
        <thead>
          <tr>
            <th scope="col" class="vaw-col-picture">
              zeroed
            </th>
            <th scope="col">part of {headName(pruning.layer, pruning.head)}</th>
            <th scope="col">
              {info.output === "value"
                ? "value left, and the largest values"
                : "probability left, and the five best classes"}
            </th>
          </tr>
        </thead>
        <tbody>
          {pruning.rows.map((row) => (
            <tr key={row.mode}>
              <td>
                <Pictogram zeroed={row.zeroed} />
              </td>
              <th scope="row">{row.mode}</th>
              <td class="vaw-bars">
                <span class="vaw-part-bar">
                  {info.output !== "value" && (
                    <i class="vaw-before" style={{ width: `${row.probability * 70}%` }} />
                  )}
                  <span class="vaw-number">{output(info, row.probability)}</span>
                </span>
                <span class="vaw-muted vaw-best">
                  {row.top5.map(([name, p]) => `${name} ${said(p)}`).join(", ")}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
