// Below the picture: others to look at, and the ways to bring one along.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import { bring, bringingOf } from "../../state/own_pictures";
import type { Store } from "../../state/store";
import { percent } from "../../state/words";
import { Camera, hasCamera } from "./camera";
import { Strip } from "./strip";
import { useDrop } from "./use_drop";

export function OwnPictures({ store, info }: { store: Store; info: ModelInfo }) {
  const inside = useDrop(store);
  const input = useRef<HTMLInputElement>(null);
  const camera = useSignal(false);
  const { progress, problem, stop } = bringingOf(store);
  const connected = !store.disconnected.value && !store.saved;
  const sent = progress.value;
  return (
    <div ref={inside} class="vaw-own">
      <Strip store={store} info={info} />
      {connected && sent === null && !camera.value && (
        <div class="vaw-row vaw-bring">
          <button type="button" data-testid="bring" onClick={() => input.current?.click()}>
            your own picture …
          </button>
          {hasCamera() && (
            <button
              type="button"
              data-testid="camera"
              onClick={() => {
                camera.value = true;
              }}
            >
              camera
            </button>
          )}
          <span class="vaw-muted">or drop or paste one here</span>
          <input
            ref={input}
            type="file"
            accept="image/*"
            hidden
            data-testid="bring-file"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file) bring(store, file);
              event.currentTarget.value = ""; // the same one may be chosen again
            }}
          />
        </div>
      )}
      {sent !== null && (
        <div class="vaw-row" role="status">
          <span>sending the picture, {percent(sent)}</span>
          <progress max={1} value={sent} aria-label="sending the picture" />
          <button type="button" data-testid="bring-stop" onClick={stop}>
            cancel
          </button>
        </div>
      )}
      {camera.value && (
        <Camera
          store={store}
          onClose={() => {
            camera.value = false;
          }}
        />
      )}
      {problem.value && (
        <p role="alert" data-testid="bring-problem">
          {problem.value}
        </p>
      )}
    </div>
  );
}
