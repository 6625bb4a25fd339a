// A picture from the camera, where the host allows it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { bring } from "../../state/own_pictures";
import type { Store } from "../../state/store";

export const hasCamera = () => Boolean(globalThis.navigator?.mediaDevices?.getUserMedia);

export function Camera({ store, onClose }: { store: Store; onClose: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const problem = useSignal("");
  const ready = useSignal(false);
  useEffect(() => {
    let closed = false;
    let stream: MediaStream | null = null;
    const end = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(
      (opened) => {
        stream = opened;
        if (closed) end();
        else if (video.current) video.current.srcObject = opened;
      },
      (error) => {
        problem.value = `The camera cannot be used here: ${error.message || error.name}`;
      },
    );
    return () => {
      closed = true;
      end();
    };
  }, [problem]);
  const take = () => {
    const seen = video.current;
    if (!seen) return;
    const canvas = document.createElement("canvas");
    canvas.width = seen.videoWidth;
    canvas.height = seen.videoHeight;
    canvas.getContext("2d")?.drawImage(seen, 0, 0);
    canvas.toBlob((picture) => {
      if (picture) bring(store, new File([picture], "camera.jpg"));
      onClose();
    }, "image/jpeg");
  };
  return (
    <div class="vaw-stack">
      {problem.value ? (
        <p role="alert">{problem.value}</p>
      ) : (
        <video
          ref={video}
          class="vaw-camera"
          autoPlay
          muted
          playsInline
          aria-label="what the camera sees"
          onLoadedData={() => {
            ready.value = true;
          }}
        />
      )}
      <div class="vaw-row">
        {ready.value && (
          <button type="button" class="vaw-primary" data-testid="camera-take" onClick={take}>
            take the picture
          </button>
        )}
        <button type="button" data-testid="camera-close" onClick={onClose}>
          close the camera
        </button>
      </div>
    </div>
  );
}
