// A class in its color; a click explains it.

import type { ComponentChildren } from "preact";
import type { ModelInfo } from "../../protocol/schema";
import type { LayerDecisions } from "../../state/layer_decisions";
import type { Store } from "../../state/store";
import { className } from "../../state/words";
import { colorOf } from "./layer_lines";

interface Props {
  store: Store;
  info: ModelInfo;
  decisions: LayerDecisions;
  index: number;
  /** Its color may be that layer's own. */
  layer?: number;
  children: ComponentChildren;
}

export function ClassChip({ store, info, decisions, index, layer = 0, children }: Props) {
  const name = className(info, index);
  return (
    <button
      type="button"
      class="vaw-chip vaw-class"
      data-tip={`explain ${name}`}
      aria-pressed={index === decisions.target}
      onClick={() => store.set({ target: index })}
    >
      <i style={{ background: colorOf(decisions.slot(index, layer)) }} />
      <span class="vaw-class-name">{name}</span> {children}
    </button>
  );
}
