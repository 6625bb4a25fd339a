// Which panels are open: a row of buttons, one tab stop, arrows move along it.

import { useSignal } from "@preact/signals";
import { consume } from "../../ui/keys";
import { moved } from "../../ui/roving";
import { isUsual } from "./arrangement";
import { PANELS } from "./panels";

interface Props {
  panels: readonly string[];
  onToggle: (id: string) => void;
  onReset: () => void;
}

export function ViewChips({ panels, onToggle, onReset }: Props) {
  const stop = useSignal(0);
  const onKey = (event: KeyboardEvent) => {
    const to = moved(event.key, { row: 0, col: stop.peek() }, 1, PANELS.length);
    if (!to) return;
    consume(event);
    stop.value = to.col;
    ((event.currentTarget as HTMLElement).children[to.col] as HTMLElement).focus();
  };
  return (
    <div class="vaw-views">
      <span class="vaw-muted">views</span>
      <div class="vaw-chips" role="toolbar" aria-label="views" onKeyDown={onKey}>
        {PANELS.map(({ id, title }, i) => {
          const open = panels.includes(id);
          return (
            <button
              type="button"
              class="vaw-view"
              key={id}
              data-testid={`view-${id}`}
              aria-pressed={open}
              tabIndex={i === stop.value ? 0 : -1}
              onFocus={() => {
                stop.value = i;
              }}
              onClick={() => onToggle(id)}
            >
              {title}
            </button>
          );
        })}
      </div>
      {!isUsual(panels) && (
        <button type="button" data-testid="usual-layout" onClick={onReset}>
          usual layout
        </button>
      )}
    </div>
  );
}
