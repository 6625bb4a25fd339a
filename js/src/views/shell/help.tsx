// What the hands can do, on `?`.

const KEYS: [string, string][] = [
  ["point at the picture", "see what that patch attends to, in every head"],
  ["click, drag", "choose a patch, walk over patches"],
  ["double click, Escape", "back to the class token"],
  ["arrows", "walk over patches, heads or layers"],
  ["[ and ]", "layer before, layer after"],
  [", and .", "head before, head after"],
  [
    "drag over heads (by touch: hold, then drag), Shift with arrows or click",
    "choose several heads",
  ],
  ["drag on the map of patterns", "draw a lasso around heads"],
  [
    "Ctrl and wheel, or two fingers, on heads, a map or a matrix; +, − and 0",
    "zoom in, out, show all of it",
  ],
  ["p", "prune the chosen heads, or put them back"],
  ["o", "the picture with its overlay, or plain"],
  ["b", "maps before pruning, or after"],
  ["z and Z", "undo and redo what was pruned or chosen"],
  ["rest on it, Tab to it, or tap or hold it", "what a control or a number means"],
  ["?", "show or hide this"],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <section class="vaw-help" id="vaw-help" aria-label="keys">
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={onClose}>
        close
      </button>
    </section>
  );
}
