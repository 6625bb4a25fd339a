// The open panels in their columns, and the line that shows where a dragged one would land.

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Store } from "../../state/store";
import { BesideTitle, Panel } from "../../ui/controls";
import { Later } from "../../ui/later";
import { columnsOf, entryOf } from "./arrangement";
import { later } from "./code_here";
import type { LaterPanel } from "./later_panels";
import { type Dragging, PanelTools } from "./panel_tools";
import { useFollow } from "./use_follow";

interface Props {
  store: Store;
  panels: readonly string[];
  /** The panel that a step of a tour is about, and the step's card, which stands above it. */
  toured: string;
  card: ComponentChildren;
  onMove: (id: string, panels: string[]) => void;
  onClose: (id: string) => void;
}

export function PanelColumns({ store, panels, toured, card, onMove, onClose }: Props) {
  const dragging = useSignal<Dragging | null>(null);
  const { lead, main, trail } = columnsOf(panels);
  const row = useFollow(lead.includes("picture"));
  const column = (name: string, ids: readonly string[]) =>
    ids.length > 0 && (
      <div class={`vaw-column vaw-column-${name}`} key={name}>
        {ids.map((id) => {
          const panel = entryOf(id);
          if (!panel) return null;
          const tools = (
            <PanelTools
              panel={panel}
              panels={panels}
              dragging={dragging}
              onMove={(next) => onMove(id, next)}
              onClose={() => onClose(id)}
            />
          );
          return (
            <Place key={id} id={id} dragging={dragging} toured={id === toured}>
              {id === toured && card}
              <BesideTitle.Provider value={tools}>
                {panel.View === "later" ? (
                  <Later
                    store={store}
                    code={later}
                    name={panel.id as LaterPanel}
                    around={(says) => (
                      <Panel title={panel.title} sees="" name={panel.id}>
                        {says}
                      </Panel>
                    )}
                  />
                ) : (
                  <panel.View store={store} />
                )}
              </BesideTitle.Provider>
            </Place>
          );
        })}
      </div>
    );
  return (
    <div ref={row} class="vaw-columns">
      {column("lead", lead)}
      {main.length + trail.length > 0 && (
        <div class="vaw-columns-rest" key="rest">
          {column("main", main)}
          {column("trail", trail)}
        </div>
      )}
      <DropLine dragging={dragging} />
    </div>
  );
}

function Place(props: {
  id: string;
  dragging: Signal<Dragging | null>;
  toured: boolean;
  children: ComponentChildren;
}) {
  const lifted = props.dragging.value?.id === props.id;
  return (
    <div
      class={`vaw-place${lifted ? " vaw-lifted" : ""}${props.toured ? " vaw-toured" : ""}`}
      data-panel={props.id}
      data-testid={`panel-${props.id}`}
    >
      {props.children}
    </div>
  );
}

function DropLine({ dragging }: { dragging: Signal<Dragging | null> }) {
  const line = dragging.value?.drop?.line;
  return line ? <div class="vaw-drop" data-testid="drop-line" style={line} /> : null;
}
