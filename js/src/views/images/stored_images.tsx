// All images that a folder knows of, while it fills: as dots, near each other where the same heads
// matter, and how each head's numbers are spread.

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { ModelInfo, StoredInfo } from "../../protocol/schema";
import { COLOURS } from "../../state/overview";
import type { Store } from "../../state/store";
import { howFar, imagesOf, quantityName } from "../../state/stored";
import { className, many, moreClasses, percent } from "../../state/words";
import { Select } from "../../ui/controls";
import { useLooking } from "../../ui/use_looking";
import { StoredCard } from "./stored_card";
import { StoredHeadsView } from "./stored_heads";
import { StoredMap } from "./stored_map";

interface Props {
  store: Store;
  info: ModelInfo;
  stored: StoredInfo;
}

function HowFar({ stored, saved }: { stored: StoredInfo; saved: boolean }) {
  const { count, total, rate } = stored;
  return (
    <p class="vaw-row vaw-stored-says" data-testid="stored-far">
      {rate > 0 && <i class="vaw-fills" aria-hidden="true" />}
      <span>{saved ? howFar(stored, null) : howFar(stored)}</span>
      {total !== null && count < total && (
        <progress value={count} max={total} aria-label="images of the folder" />
      )}
    </p>
  );
}

function Choose({ store, info, stored }: Props) {
  const problem = useSignal("");
  const show = async (change: { quantity?: string; of_class?: number }) => {
    const { quantity, of_class } = stored;
    problem.value = await store.request("stored_show", { quantity, of_class, ...change });
  };
  const classes = [
    { key: "-1", label: "all together" },
    ...stored.classes.map(([index, count]) => ({
      key: `${index}`,
      label: `${className(info, index)} (${count})`,
    })),
  ];
  return (
    <div class="vaw-row">
      <Select
        label="by"
        options={stored.quantities.map((key) => ({ key, label: quantityName(info, key) }))}
        value={stored.quantity}
        onChange={(quantity) => show({ quantity })}
        testid="stored-quantity"
      />
      {stored.classes.length > 0 && (
        <Select
          label="classes"
          options={classes}
          value={`${stored.of_class}`}
          onChange={(index) => show({ of_class: Number(index) })}
          testid="stored-class"
        />
      )}
      {problem.value && <span role="alert">{problem.value}</span>}
    </div>
  );
}

/** Which color is which class; the others are gray. */
function Legend({ info, stored, colored }: Omit<Props, "store"> & { colored: number[] }) {
  const more = stored.classes_in_all - colored.length;
  return (
    <div class="vaw-chips" data-testid="stored-legend">
      {colored.map((index, slot) => (
        <span class="vaw-class" key={index}>
          <i style={{ background: `var(--vaw-class-${slot})` }} />
          <span class="vaw-class-name">{className(info, index)}</span>
        </span>
      ))}
      {more > 0 && (
        <span class="vaw-class">
          <i style={{ background: "var(--vaw-other)" }} />
          <span class="vaw-muted">{moreClasses(more)}</span>
        </span>
      )}
    </div>
  );
}

/** Classes that have a color: the most frequent, and the one that is chosen. */
function coloredOf({ classes, of_class }: StoredInfo): number[] {
  const first = classes.slice(0, COLOURS).map(([index]) => index);
  if (of_class < 0 || first.includes(of_class)) return first.sort((a, b) => a - b);
  return [...first.slice(0, COLOURS - 1), of_class].sort((a, b) => a - b);
}

export function StoredImages({ store, info, stored }: Props) {
  useLooking(store);
  const lit = useSignal(-1);
  const points = store.storedPoints.value;
  const heads = store.storedHeads.value;
  const key = coloredOf(stored).join(" ");
  const colored = useMemo(() => key.split(" ").filter(Boolean).map(Number), [key]);
  const shown = lit.value >= 0 ? lit.value : store.traits.selected_image.value;
  return (
    <div class="vaw-stack">
      <HowFar stored={stored} saved={store.saved} />
      {stored.problem && <p role="alert">{stored.problem}</p>}
      {points && heads && (
        <>
          {!store.saved && <Choose store={store} info={info} stored={stored} />}
          <p class="vaw-muted">
            Near each other where the same heads matter: two principal components with{" "}
            {percent(Number(points.metadata.share))} of the variance.
            {stored.skipped > 0 && ` ${imagesOf(stored.skipped)} could not be computed.`}
            {stored.read < stored.count && ` Shown: ${many(stored.read)} images.`}
          </p>
          <div class="vaw-beside vaw-images-body">
            <StoredMap {...{ store, stored, points, colored, lit }} />
            <div class="vaw-stack">
              {!store.saved && (
                <StoredCard store={store} info={info} stored={stored} image={shown} />
              )}
              <Legend info={info} stored={stored} colored={colored} />
            </div>
          </div>
          <StoredHeadsView store={store} info={info} stored={stored} heads={heads} />
        </>
      )}
      {!points && !stored.problem && stored.count > 0 && (
        <p class="vaw-muted">
          {store.saved ? "What the folder says is not in this page." : "Reading the folder …"}
        </p>
      )}
      <p class="vaw-muted vaw-stored-of">
        {stored.function} in {stored.folder}
        {stored.options && `, ${stored.options}`}
      </p>
    </div>
  );
}
