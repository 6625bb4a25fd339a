// The state that all views of a widget share: the kernel's traits, what only the browser knows
// (what the pointer is over), and what follows from both. Views read signals and call actions.

import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { CatchUp } from "../protocol/catch_up";
import { type KernelState, KernelWatch } from "../protocol/kernel";
import type { AnyModel } from "../protocol/model";
import { Dropped, type Params, Requests, type Starting } from "../protocol/requests";
import { type Decoded, decode, type Encoded } from "../protocol/safetensors";
import {
  type Decision,
  type Head,
  type ModelInfo,
  type Overlay,
  SELECTIONS,
  type Status,
} from "../protocol/schema";
import { type Selected, TRAITS, type Traits } from "../protocol/traits";
import { AttentionCache } from "./attention";
import { Brush } from "./brush";
import { HeadSet, withoutHead } from "./heads";
import { type Chosen, type Move, redone, stepped, undone, Walk } from "./history";
import {
  type Importance,
  importanceOf,
  type Maps,
  mapsOf,
  type NamedMap,
  type Rows,
  rowsOf,
} from "./results";
import { meanImportance } from "./stored";

/** Selections that only the kernel can follow. */
const KERNELS: readonly (keyof Selected)[] = ["target", "pruned_heads", "selected_image"];

/** Why nothing can be computed, and what to do. */
export const KERNEL_SAYS: Record<Exclude<KernelState, "alive">, string> = {
  gone: "The kernel is gone: start one and run the cell again.",
  restarted: "The kernel was restarted: run the cell again.",
  elsewhere: "This kernel does not know the widget, which was saved earlier: run the cell again.",
};

const WHOLE_GRID = { zoom: 1, x: 0, y: 0 };

type Signals = { [K in keyof Traits]: Signal<Traits[K]> };

/** What a binary trait holds; null while it is empty. */
type Inside<K extends keyof Traits> =
  Traits[K] extends Encoded<infer T, infer M> ? Decoded<T, M> | null : never;

export class Store {
  readonly traits: Signals;
  /** Token under the pointer, or null; hovering never asks the kernel. */
  readonly hovered: Signal<number | null> = signal(null);
  /** Head under the pointer in a grid, or null. */
  readonly hoveredHead: Signal<Head | null> = signal(null);
  /** Layer under the pointer in the film of maps, or null. */
  readonly hoveredLayer: Signal<number | null> = signal(null);
  /** Compared map under the pointer, or null. */
  readonly hoveredMap: Signal<NamedMap | null> = signal(null);
  /** Whether heads share one color scale, or each has its own. */
  readonly headScale: Signal<"shared" | "own"> = signal("shared");
  /** Heads as a grid, along the depth of the model, or by importance. */
  readonly headView: Signal<"grid" | "line" | "ranked"> = signal("grid");
  /** How the grid of heads stands: enlarged so many times, scrolled so many cells from its edges. */
  readonly headZoom: Signal<typeof WHOLE_GRID> = signal(WHOLE_GRID);
  /** Several heads at once, to be pruned together. */
  readonly brush = new Brush();
  /** Show the picture as it was before pruning. */
  readonly showBefore: Signal<boolean> = signal(false);
  /** Whether the kernel knows the widget; where it does not, what is cached still works. */
  readonly kernel: ReadonlySignal<KernelState>;
  /** The kernel can no longer be reached. */
  readonly disconnected: ReadonlySignal<boolean>;
  /** Grows with every choice that could not be followed without the kernel. */
  readonly refused: Signal<number> = signal(0);

  readonly info: ReadonlySignal<ModelInfo | null>;
  readonly decision: ReadonlySignal<Decision | null>;
  readonly status: ReadonlySignal<Status>;
  readonly maps: ReadonlySignal<Maps>;
  /** Importance of the heads that is shown: for this image, or over the images of a folder. */
  readonly importance: ReadonlySignal<Importance | null>;
  /** For this image, whatever is shown. */
  readonly importanceHere: ReadonlySignal<Importance | null>;
  /** Of what the importance of heads is shown. */
  readonly importanceOf: Signal<"image" | "images"> = signal("image");
  /** With every head in place, while some are pruned; null where it is not known. */
  readonly importanceBefore: ReadonlySignal<Importance | null>;
  readonly strengthTensors: ReadonlySignal<Inside<"_strength_data">>;
  readonly strengthSet: ReadonlySignal<Inside<"_strength_set">>;
  readonly layerDecisions: ReadonlySignal<Inside<"_layer_decisions">>;
  readonly thumbnails: ReadonlySignal<Inside<"_thumbnails">>;
  readonly storedHeads: ReadonlySignal<Inside<"_stored_heads">>;
  readonly storedPoints: ReadonlySignal<Inside<"_stored_points">>;
  readonly broughtThumbnails: ReadonlySignal<Inside<"_brought_thumbnails">>;
  readonly comparisonMaps: ReadonlySignal<Inside<"_comparison_maps">>;
  readonly patternsHere: ReadonlySignal<Inside<"_patterns_here">>;
  /** Rows of the selected token, which the kernel sends with the first paint. */
  readonly kernelRows: ReadonlySignal<Rows | null>;
  /** The token whose attention is shown: the hovered one if its attention is at hand. */
  readonly shownToken: ReadonlySignal<number>;
  /** The head under the pointer, or else the selected one; head -1 is the mean of the heads. */
  readonly shownHead: ReadonlySignal<Head>;
  readonly pruned: ReadonlySignal<HeadSet>;
  private readonly watch: KernelWatch;
  private readonly catchUp: CatchUp;
  private readonly walk = new Walk();
  private readonly importances: ReadonlySignal<Inside<"_importance_data">>;
  private lastOverlay: Overlay = "explanation";
  readonly attention: AttentionCache;
  readonly requests: Requests;
  readonly canUndo: ReadonlySignal<boolean>;
  readonly canRedo: ReadonlySignal<boolean>;

  constructor(
    readonly model: AnyModel,
    signal_: AbortSignal,
  ) {
    this.traits = Object.fromEntries(
      TRAITS.map((name) => [name, signal(model.get(name))]),
    ) as unknown as Signals;
    const listeners: [string, () => void][] = TRAITS.map((name) => [
      `change:${name}`,
      () => this.took(name),
    ]);
    for (const [event, listener] of listeners) model.on(event, listener);
    const stops: (() => void)[] = [];
    for (const [event, listener] of listeners) stops.push(() => model.off(event, listener));
    signal_.addEventListener("abort", () => {
      for (const stop of stops) stop();
    });
    this.requests = new Requests(model, signal_, () => this.watch.lost());
    const computing = () => this.traits.status.peek().state === "computing";
    this.catchUp = new CatchUp(model, this.requests, computing, signal_);
    this.watch = new KernelWatch(model, () => this.catchUp.check(), signal_);
    this.kernel = this.watch.state;
    this.disconnected = computed(() => this.kernel.value !== "alive");
    stops.push(
      effect(() => {
        const state = this.kernel.value;
        this.requests.refuse(state === "alive" ? "" : KERNEL_SAYS[state]);
      }),
    );
    this.info = computed(() => {
      const info = this.traits._model_info.value;
      return "num_layers" in info ? (info as ModelInfo) : null;
    });
    this.decision = computed(() => {
      const decision = this.traits.decision.value;
      return "rows" in decision ? (decision as Decision) : null;
    });
    this.status = computed(() => this.traits.status.value);
    this.maps = computed(() => mapsOf(read(this.traits._maps.value)));
    const inside = <K extends keyof Traits>(name: K) =>
      computed(() => read(this.traits[name].value as Encoded<unknown>) as Inside<K>);
    this.strengthTensors = inside("_strength_data");
    this.strengthSet = inside("_strength_set");
    this.layerDecisions = inside("_layer_decisions");
    this.thumbnails = inside("_thumbnails");
    this.broughtThumbnails = inside("_brought_thumbnails");
    this.comparisonMaps = inside("_comparison_maps");
    this.patternsHere = inside("_patterns_here");
    this.importances = inside("_importance_data");
    this.importanceHere = computed(() =>
      importanceOf(this.importances.value, this.traits.metric.value, this.info.value?.output),
    );
    this.storedHeads = inside("_stored_heads");
    this.storedPoints = inside("_stored_points");
    this.importance = computed(() => {
      const overImages = this.importanceOf.value === "images";
      return (overImages && meanImportance(this.storedHeads.value)) || this.importanceHere.value;
    });
    const wholeImportances = inside("_importance_before");
    this.importanceBefore = computed(() =>
      importanceOf(wholeImportances.value, this.traits.metric.value, this.info.value?.output),
    );
    this.kernelRows = computed(() => rowsOf(read(this.traits._attention_rows.value)));
    this.attention = new AttentionCache(this, signal_);
    this.shownToken = computed(() => {
      const over = this.hovered.value;
      if (over !== null && this.attention.has(over)) return over;
      const selected = this.traits.selected_token.value;
      const rows = this.kernelRows.value;
      // Without a kernel, what is not at hand will never be.
      const lost = this.disconnected.value && rows && !this.attention.has(selected);
      return lost ? rows.token : selected;
    });
    stops.push(effect(() => this.askForRows()));
    this.shownHead = computed(() => {
      const { selected_layer, selected_head } = this.traits;
      return this.hoveredHead.value ?? [selected_layer.value, selected_head.value];
    });
    this.pruned = computed(() => new HeadSet(this.traits.pruned_heads.value));
    this.canUndo = computed(() => this.traits._history.value.undo.length > 0);
    this.canRedo = computed(() => this.traits._history.value.redo.length > 0);
  }

  /** Take a trait that changed in the kernel or in another view of it. */
  private took(name: keyof Traits): void {
    const before = this.traits[name].peek();
    const now = this.model.get(name);
    if (name === "_model_info") {
      const heads = (info: unknown) => JSON.stringify((info as Partial<ModelInfo>).num_heads);
      if (heads(before) !== heads(now)) {
        this.brush.clear();
        this.hoveredHead.value = null;
        this.headZoom.value = WHOLE_GRID;
      }
    }
    (this.traits[name] as Signal<unknown>).value = now;
  }

  /** Change selections here and, in one message, in the kernel. */
  set(changes: Partial<Selected>): void {
    this.watch.check();
    const page = this.model.page;
    if (page ? !page.follows(changes) : this.disconnected.peek() && !this.canFollow(changes)) {
      this.refused.value += 1;
      return;
    }
    const heads = this.info.peek()?.num_heads[changes.selected_layer ?? -1];
    const head = changes.selected_head ?? this.traits.selected_head.peek();
    if (heads !== undefined && head >= heads) changes = { ...changes, selected_head: heads - 1 };
    if (!("_history" in changes)) {
      const past = this.traits._history.peek();
      const next = this.walk.chose(past, this.chosen(), changes, performance.now());
      if (next) changes = { ...changes, _history: next };
    }
    batch(() => {
      for (const [name, value] of Object.entries(changes)) {
        (this.traits[name as keyof Selected] as Signal<unknown>).value = value;
        this.model.set(name, value);
      }
    });
    this.catchUp.soon();
    if (!this.disconnected.peek()) this.model.save_changes();
  }

  /** Whether this is a page of its own that only holds what was computed before. */
  get saved(): boolean {
    return this.model.page?.saved ?? false;
  }

  /** Whether what is chosen can be shown without the kernel. */
  private canFollow(changes: Partial<Selected>): boolean {
    if (KERNELS.some((name) => name in changes)) return false;
    const { method, metric, direction, selected_token } = changes;
    if (method !== undefined && !(method in this.maps.peek())) return false;
    if (metric !== undefined && !importanceOf(this.importances.peek(), metric)) return false;
    if (direction !== undefined && !this.attention.complete()) return false;
    return selected_token === undefined || this.attention.has(selected_token);
  }

  /** Rows of the selected token come on request, where they are not at hand. */
  private askForRows(): void {
    const token = this.traits.selected_token.value;
    if (!this.kernelRows.value || this.disconnected.value || this.attention.has(token)) return;
    this.request("rows", { token, direction: this.traits.direction.value });
  }

  /** Prune a head, or put it back. */
  togglePruned(layer: number, head: number): void {
    const now = this.traits.pruned_heads.value;
    const without = withoutHead(now, [layer, head]);
    this.prune(without.length < now.length ? without : [...now, [layer, head]]);
  }

  /** Prune what is chosen: the brushed heads, or else this one; or put it back. */
  togglePrunedChosen(layer: number, head: number): void {
    if (this.brush.heads.peek().length > 0) this.togglePrunedBrush();
    else if (head >= 0) this.togglePruned(layer, head);
  }

  /** Prune the brushed heads, or put them back if all of them are pruned. */
  togglePrunedBrush(): void {
    const now = this.traits.pruned_heads.value;
    const others = now.filter(([l, h]) => !this.brush.has(l, h));
    const brushed = this.brush.heads.value;
    const all = now.length - others.length === brushed.length;
    this.prune(all ? others : [...others, ...brushed]);
    this.brush.clear();
  }

  /** Prune exactly these heads. */
  prune(heads: readonly Head[]): void {
    const history = stepped(this.traits._history.peek(), heads);
    this.set({ _history: history, pruned_heads: history.pruned });
  }

  undo(): void {
    this.move(undone(this.traits._history.peek(), this.chosen()));
  }

  redo(): void {
    this.move(redone(this.traits._history.peek(), this.chosen()));
  }

  /** What is selected, as steps of the history have it. */
  private chosen(): Chosen {
    const now = Object.fromEntries(SELECTIONS.map((name) => [name, this.traits[name].peek()]));
    const follows = this.decision.peek()?.follows_prediction;
    return { ...now, ...(follows && { target: null }) };
  }

  private move(to: Move | null): void {
    if (!to) return;
    this.walk.end();
    const { history, chosen } = to;
    const pruning = `${history.pruned}` !== `${this.traits.pruned_heads.peek()}`;
    this.set({ ...chosen, _history: history, ...(pruning && { pruned_heads: history.pruned }) });
  }

  /** Put every head back. */
  resetPruned(): void {
    if (this.traits.pruned_heads.value.length > 0) this.prune([]);
  }

  /** Ask the kernel for something whose answer comes as a trait; what went wrong, or nothing. */
  async request<M extends Starting>(method: M, params: Params<M>): Promise<string> {
    try {
      await this.requests.ask(method, params);
      return "";
    } catch (error) {
      if (error instanceof Dropped) return "";
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** The picture as it is, or again with what lay on it. */
  togglePlain(): void {
    const now = this.traits.overlay.peek();
    this.set({ overlay: now === "plain" ? this.lastOverlay : "plain" });
    if (now !== "plain") this.lastOverlay = now;
  }

  cancel(): void {
    this.requests.ask("cancel_job", {}).catch(() => undefined);
  }
}

function read<T, M>(view: Encoded<T, M>): Decoded<T, M> | null {
  return view && view.byteLength > 8 ? decode(view) : null;
}
