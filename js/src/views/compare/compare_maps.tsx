// Compare maps: methods, classes, layers or images side by side, and how far they agree.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { csv } from "../../draw/figures";
import type { Compared, ComparedScores, Comparison, ModelInfo } from "../../protocol/schema";
import {
  type CompareScale,
  correlationSays,
  nameOf,
  oneUnit,
  rho,
  type Shown,
  says,
  scaled,
  scaleOf,
  scaleSays,
  shownOf,
} from "../../state/comparison";
import { CURVES, scoresOf } from "../../state/faithfulness";
import type { Store } from "../../state/store";
import { methodName } from "../../state/words";
import { ColorBar } from "../../ui/colorbar";
import { Panel, Segmented, Select } from "../../ui/controls";
import { OverlayControls } from "../../ui/overlay_controls";
import { Classes } from "./compare_controls";
import { CompareMatrix } from "./compare_matrix";
import { CompareScores } from "./compare_scores";
import { CompareTiles } from "./compare_tiles";

const SEES =
  "The same picture explained in several ways, and how far the explanations agree: near 1 they " +
  "mark the same patches, near 0 they have nothing in common.";

const SCALES = [
  { key: "shared", label: "one scale", hint: "The same color is the same value in all maps." },
  { key: "own", label: "own scales", hint: "Each map up to its own highest value." },
  { key: "rank", label: "by rank", hint: "In each map, patches from its lowest to its highest." },
] as const;

/** What the maps are of, in the line of the title. */
function about(info: ModelInfo, { of, method, target, names, total }: Comparison): string {
  const label = methodName(info, method);
  if (of === "methods") return `each method, for ${target}`;
  if (of === "models") return `${label}, in each model`;
  if (of === "layers") return `${label} for ${target}, after each layer`;
  if (of === "classes") return `${label}, for each ${info.takes_prompts ? "prompt" : "class"}`;
  const some = names.length < total ? `the first ${names.length} of ${total} images` : "each image";
  return `${label}, ${some} for its own class`;
}

function tableOf(info: ModelInfo, comparison: Comparison, scores: ComparedScores | null): string {
  const names = comparison.keys.map((_, i) => nameOf(info, comparison, i));
  const rows = comparison.correlation.map((row, i) => [
    names[i] ?? "",
    ...row.map((r) => r ?? Number.NaN),
    ...(scores ? (scores.areas[i]?.map ?? [Number.NaN, Number.NaN]) : []),
  ]);
  return csv(["rank correlation", ...names, ...(scores ? CURVES : [])], rows);
}

/** Different models have no common scores; images are scored by their own classes. */
function scorable(store: Store, info: ModelInfo, of: Compared): boolean {
  return (
    store.decision.value !== null && of !== "models" && (of !== "images" || info.num_classes > 0)
  );
}

function Body(props: { store: Store; info: ModelInfo; shown: Shown; scale: CompareScale }) {
  const { store, info, shown, scale } = props;
  const { comparison } = shown;
  const lit = useSignal<number | null>(null);
  const pair = useSignal<readonly [number, number] | null>(null);
  const maps = useMemo(() => scaled(shown, scale), [shown, scale]);
  const name = (i: number) => nameOf(info, comparison, i);
  const [a, b] = pair.value ?? [0, 0];
  const pointed =
    a === b ? null : `${name(a)} and ${name(b)}: ${rho(comparison.correlation[a]?.[b])}`;
  const refused = Object.entries(comparison.skipped);
  const scores = scoresOf(shown, store.traits.faithfulness.value);
  return (
    <>
      <p class="vaw-compare-says" data-testid="compare-says">
        {pointed ?? says(info, comparison, lit.value)}
      </p>
      <div class="vaw-compare-body">
        <div class="vaw-stack">
          <CompareTiles {...{ store, info, shown, maps, lit, scores }} own={scale === "own"} />
          {scorable(store, info, comparison.of) && (
            <CompareScores {...{ store, info, comparison, scores }} />
          )}
        </div>
        <div class="vaw-stack">
          <CompareMatrix {...{ info, comparison, lit, pair }} />
          <div class="vaw-row">
            <ColorBar low="−1" high="1" colormap="diverging" label="rank correlation" />
          </div>
          <p class="vaw-muted">{correlationSays(comparison.of)}</p>
        </div>
      </div>
      {refused.map(([method, why]) => (
        <p class="vaw-muted" key={method}>
          Without {methodName(info, method)}: {why}
        </p>
      ))}
    </>
  );
}

export function CompareMaps({ store, compact = false }: { store: Store; compact?: boolean }) {
  const info = store.info.value;
  const { _version: version, method, colormap } = store.traits;
  const comparison = store.traits._comparison.value as Partial<Comparison>;
  const picked = useSignal<Compared | null>(null); // shown at once, until the kernel says the same
  const chosen = useSignal<CompareScale | null>(null);
  const problem = useSignal("");
  const of = picked.value ?? (comparison.asked || comparison.of || "methods");
  const decoded = store.comparisonMaps.value;
  const shown = useMemo(() => shownOf(comparison, decoded), [comparison, decoded]);
  const ask = async (what: Compared, classes = comparison.classes ?? []) => {
    picked.value = what;
    problem.value = await store.request("compare", { of: what, method: method.peek(), classes });
    if (picked.peek() === what) picked.value = null;
  };
  useEffect(() => {
    picked.value = null; // the kernel has its say
  }, [comparison, picked]);
  const now = version.value;
  const [by, there] = [method.value, shown !== null && comparison.version === now];
  useEffect(() => {
    const fits = there && (of === "methods" || comparison.method === by);
    if (now > 0 && !fits) ask(of);
    // Asked when the trace or the method changes, not when an answer comes.
  }, [store, now, by]);
  if (!info) return null;
  const scale = scaleOf(of, chosen.value);
  const fits = shown !== null && shown.comparison.of === of;
  const busy = Boolean(comparison.asked) || picked.value !== null;
  const stale = busy || comparison.version !== now;
  const all = shown && fits && scale === "shared" ? scaled(shown, scale).range(0) : null;
  const label = shown ? methodName(info, shown.comparison.method) : "";
  const options = [
    { key: "methods", label: "methods" },
    ...(info.num_classes > 0
      ? [{ key: "classes", label: info.takes_prompts ? "prompts" : "classes" }]
      : []),
    { key: "layers", label: "layers" },
    ...(info.other_models.length > 0 ? [{ key: "models", label: "models" }] : []),
    ...(info.set_size > 0 ? [{ key: "images", label: "images" }] : []),
  ] as { key: Compared; label: string }[];
  const what = options.find(({ key }) => key === of)?.label ?? of;
  return (
    <Panel
      title="Compare maps"
      sees={SEES}
      name="compare"
      table={
        shown && fits
          ? () => tableOf(info, shown.comparison, scoresOf(shown, store.traits.faithfulness.peek()))
          : undefined
      }
      note={shown && fits ? about(info, shown.comparison) : ""}
      controls={
        <Segmented
          label="what is compared"
          testid="compare-of"
          options={options}
          value={of}
          onChange={(value: Compared) => ask(value)}
        />
      }
    >
      <div class="vaw-row">
        {of !== "methods" && (
          <Select
            label="method"
            value={by}
            options={info.methods}
            testid="compare-method"
            onChange={(value) => store.set({ method: value })}
          />
        )}
        <Segmented
          label="scale of the maps"
          testid="compare-scale"
          options={SCALES.filter(({ key }) => oneUnit(of) || key !== "shared")}
          value={scale}
          onChange={(value: CompareScale) => {
            chosen.value = value;
          }}
        />
        {all && <ColorBar low={all[0]} high={all[1]} colormap={colormap.value} label={label} />}
        {scale === "own" && (
          <ColorBar low="0" high="highest" colormap={colormap.value} label="of each map" />
        )}
        {scale === "rank" && <ColorBar low="0" high="1" colormap={colormap.value} label="rank" />}
        {of === "classes" && !info.takes_prompts && (
          <Classes
            store={store}
            info={info}
            classes={comparison.classes ?? []}
            onChange={(classes) => ask("classes", classes)}
          />
        )}
      </div>
      <p class="vaw-muted" data-testid="compare-scale-says">
        {scaleSays(of, scale)}
      </p>
      {!compact && <OverlayControls store={store} />}
      {problem.value && <p role="alert">{problem.value}</p>}
      {shown && fits ? (
        <div class={`vaw-stack${stale ? " vaw-stale" : ""}`} aria-busy={busy}>
          <Body store={store} info={info} shown={shown} scale={scale} />
        </div>
      ) : busy || now === 0 ? (
        <p class="vaw-muted">Comparing {what} …</p>
      ) : (
        <button type="button" data-testid="compare-now" onClick={() => ask(of)}>
          compare {what}
        </button>
      )}
    </Panel>
  );
}
