// Takes the whole widget home, as a page of its own: the kernel writes it, a saved page knows itself.

import { useSignal } from "@preact/signals";
import { download } from "../../draw/figures";
import { Dropped } from "../../protocol/requests";
import type { Store } from "../../state/store";

export function SavePage({ store }: { store: Store }) {
  const busy = useSignal(false);
  const problem = useSignal("");
  const save = async () => {
    busy.value = true;
    problem.value = "";
    try {
      const { buffer } = await store.requests.ask("page", {});
      const name = `${store.info.peek()?.image_name ?? "page"}`.replace(/\.\w+$/, "");
      download(`${name}.html`, new Blob([buffer as DataView<ArrayBuffer>]));
    } catch (error) {
      const cancelled = error instanceof Dropped; // by the status, which says so
      problem.value = cancelled ? "" : error instanceof Error ? error.message : String(error);
    }
    busy.value = false;
  };
  return (
    <>
      {problem.value && (
        <span role="alert" class="vaw-status-label" data-tip={problem.value}>
          {problem.value}
        </span>
      )}
      <button
        type="button"
        class="vaw-save-page"
        data-testid="save-page"
        disabled={busy.value}
        data-tip="this widget in one file, which works without a notebook"
        onClick={save}
      >
        {busy.value ? "saving …" : "save page"}
      </button>
    </>
  );
}
