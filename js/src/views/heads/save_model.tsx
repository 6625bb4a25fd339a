// Writes the model without the pruned heads where Python runs, and says where that is.

import { useSignal } from "@preact/signals";
import type { SaveModelParams } from "../../protocol/schema";
import type { Store } from "../../state/store";

const FORMATS: readonly { key: SaveModelParams["format"]; hint: string }[] = [
  { key: "safetensors", hint: "Weights and what was pruned: load_pruned(model, path) reads it." },
  { key: "ONNX", hint: "For any ONNX runtime; needs onnx and onnxscript where Python runs." },
];

export function SaveModel({ store }: { store: Store }) {
  const open = useSignal(false);
  const problem = useSignal("");
  const saved = store.traits._saved_model.value;
  return (
    <>
      <button
        type="button"
        aria-expanded={open.value}
        data-testid="save-model"
        data-tip="Write the model without the pruned heads to a file where Python runs"
        onClick={() => {
          open.value = !open.value;
        }}
      >
        save model
      </button>
      {open.value &&
        FORMATS.map(({ key, hint }) => (
          <button
            type="button"
            key={key}
            data-tip={hint}
            data-testid={`save-model-${key}`}
            onClick={async () => {
              open.value = false;
              problem.value = await store.request("save_model", { format: key });
            }}
          >
            {key}
          </button>
        ))}
      {problem.value && <span role="alert">{problem.value}</span>}
      {"path" in saved && !problem.value && (
        <span class="vaw-saved-model" data-testid="saved-model" aria-live="polite">
          saved where Python runs: <code>{saved.path}</code> ({(saved.bytes / 1e6).toFixed(1)} MB)
        </span>
      )}
    </>
  );
}
