// All images of the set at a glance, near each other where the same heads matter.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { ModelInfo, Overview } from "../../protocol/schema";
import {
  classesOf,
  colorsOf,
  cost,
  groupsOf,
  isWrong,
  type Metric,
  overviewOf,
  says,
} from "../../state/overview";
import type { Store } from "../../state/store";
import { meanImportance, storedOf } from "../../state/stored";
import { imageTable, importanceTable } from "../../state/tables";
import { counted } from "../../state/words";
import { Panel, Segmented } from "../../ui/controls";
import { ImageCard } from "./image_card";
import { ImageLegend } from "./image_legend";
import { ImageMap } from "./image_map";
import { atlasOf } from "./image_paint";
import { StoredImages } from "./stored_images";

const SEES =
  "All pictures of the set. Two are near each other where the same heads matter for them.";

const METRICS = [
  {
    key: "probability",
    label: "exact",
    hint: "How much the class's probability, or the value, falls without the head. Li et al. 2023.",
  },
  {
    key: "taylor",
    label: "estimate",
    hint: "From the gradient of the class, for all heads at once: fast. Michel et al. 2019.",
  },
] as const;

function LayOut({ store, info, total }: { store: Store; info: ModelInfo; total: number }) {
  const metric = useSignal<Metric>("probability");
  const problem = useSignal("");
  const { measuring } = store.traits._overview.value as Partial<Overview>;
  return (
    <div class="vaw-row vaw-lay-out">
      <Segmented
        label="importance of heads"
        options={METRICS}
        value={metric.value}
        onChange={(next: Metric) => {
          metric.value = next;
        }}
        testid="image-metric"
      />
      <button
        type="button"
        class="vaw-primary"
        data-testid="lay-out"
        disabled={Boolean(measuring)}
        onClick={async () => {
          problem.value = await store.request("overview", { metric: metric.peek() });
        }}
      >
        lay out {counted(total, "image", "one")}
      </button>
      <span class="vaw-muted vaw-cost" data-testid="lay-out-cost">
        {problem.value || cost(info, total, metric.value)}
      </span>
    </div>
  );
}

/** Opens an image by its number; the one that was given is always a click away. */
function OpenByNumber({ store, total }: { store: Store; total: number }) {
  const open = store.traits.selected_image.value;
  const typed = useSignal<string | null>(null); // what is being typed outlives what comes meanwhile
  const take = (input: HTMLInputElement) => {
    const image = Number(input.value);
    const exists = input.value !== "" && Number.isInteger(image) && image >= 0 && image < total;
    typed.value = null;
    if (exists) store.set({ selected_image: image });
    else input.value = open >= 0 ? `${open}` : "";
  };
  return (
    <>
      {open >= 0 && (
        <button
          type="button"
          data-testid="given-image"
          data-tip="the image that the widget was given"
          onClick={() => store.set({ selected_image: -1 })}
        >
          given image
        </button>
      )}
      <label class="vaw-field">
        <span>image</span>
        <input
          type="number"
          class="vaw-image-number"
          min={0}
          max={total - 1}
          step={1}
          placeholder={`0–${total - 1}`}
          value={typed.value ?? (open >= 0 ? open : "")}
          aria-label="image number"
          data-testid="image-number"
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
          onChange={(event) => take(event.currentTarget)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault(); // JupyterLab keeps Enter's own change event from coming
            event.stopPropagation();
            take(event.currentTarget);
          }}
        />
      </label>
    </>
  );
}

function Images(props: { store: Store; info: ModelInfo; overview: Overview }) {
  const { store, info, overview } = props;
  const lit = useSignal<number | null>(null);
  const only = useSignal<number | null>(null);
  const thumbnails = store.thumbnails.value?.tensors.thumbnails;
  const atlas = useMemo(() => atlasOf(thumbnails), [thumbnails]);
  const { labels, predicted, total } = overview;
  const { groups, colors, others, more } = useMemo(() => {
    const classes = classesOf({ labels, predicted, total } as Overview);
    const groups = groupsOf(classes);
    const colors = colorsOf(classes, groups);
    const gray = classes.filter((index, i) => index >= 0 && colors[i] === -1);
    return { groups, colors, others: gray.length, more: new Set(gray).size };
  }, [labels, predicted, total]);
  const wrong = Array.from({ length: total }, (_, i) => isWrong(overview, i)).filter(Boolean);
  return (
    <div class="vaw-beside vaw-images-body">
      <ImageMap {...{ store, info, overview, atlas, colors, lit, only }} />
      <div class="vaw-stack">
        <ImageCard
          store={store}
          info={info}
          overview={overview}
          atlas={atlas}
          image={lit.value ?? store.traits.selected_image.value}
        />
        <ImageLegend
          info={info}
          groups={groups}
          others={others}
          classes={more}
          wrong={wrong.length}
          mark={atlas ? "corner" : "hollow"}
          only={only}
        />
      </div>
    </div>
  );
}

export function ImageOverview({ store }: { store: Store }) {
  const info = store.info.value;
  const overview = overviewOf(store.traits._overview.value);
  const stored = storedOf(store.traits._stored.value);
  const asks = info !== null && info.set_size > 0 && overview === null;
  useEffect(() => {
    if (asks) store.request("images", {});
  }, [store, asks]);
  if (!info) return null;
  if (stored) {
    return (
      <Panel
        title="Images by head importance"
        sees={SEES}
        name="images"
        table={() => importanceTable(info, meanImportance(store.storedHeads.peek()))}
        controls={stored.has_files && <OpenByNumber store={store} total={stored.count} />}
      >
        <StoredImages store={store} info={info} stored={stored} />
      </Panel>
    );
  }
  const set = info.set_size > 0;
  return (
    <Panel
      title="Images by head importance"
      sees={SEES}
      name="images"
      table={overview ? () => imageTable(info, overview) : undefined}
      controls={set && <OpenByNumber store={store} total={info.set_size} />}
    >
      {!set && (
        <p class="vaw-muted">
          No set of images: give the widget or session <code>image_set=[...]</code>.
        </p>
      )}
      {set && info.num_classes > 0 && <LayOut store={store} info={info} total={info.set_size} />}
      {set && !overview && (
        <p class="vaw-muted">
          {store.saved ? "The images are not in this page." : "Reading the images …"}
        </p>
      )}
      {overview && (
        <>
          <p class="vaw-muted vaw-images-say" data-testid="images-say">
            {says(overview)}
          </p>
          <Images store={store} info={info} overview={overview} />
        </>
      )}
    </Panel>
  );
}
