// What follows a trace, one after the other: maps, importance of the heads, accuracy on the scenes.

import type { BaselineMetadata, Head, ImportanceTables, MapsByMethod } from "../protocol/schema";
import { ablate, fillTaylor, type Tables, unknown } from "./importance";
import { METHODS } from "./maps";
import { at, best, total } from "./numbers";
import { occlusion } from "./occlusion";
import { scenePicture } from "./pictures";
import type { LiveSession, Still } from "./session";
import { encode, floats } from "./tensors";
import type { Trace } from "./trace";

/** Lets the page paint and answer before the next piece of work. */
const breath = () => new Promise((resolve) => setTimeout(resolve));

const AT_ONCE = 4;

export class Studies {
  /** By trace and class: maps by method. */
  private readonly maps = new WeakMap<Trace, Record<string, Float32Array>>();
  /** Importance of the whole model's heads for a class, once all were measured. */
  private readonly measured = new WeakMap<Trace, Map<number, Tables>>();
  private accuracyBefore: number | null = null;

  constructor(private readonly session: LiveSession) {}

  /** All that can be said of what is shown; what was computed before is not computed again. */
  async follow(still: Still): Promise<void> {
    this.beginImportance();
    await this.explain(still);
    if (still()) await this.measure(still);
    if (still()) await this.count(still);
    if (still()) this.session.say({});
  }

  /** A method's maps of a trace, [layer, patch]. */
  async of(trace: Trace, method: string, target: number): Promise<Float32Array> {
    const known = this.maps.get(trace) ?? {};
    this.maps.set(trace, known);
    const name = `${method} ${target}`;
    const map = known[name] ?? (await this.compute(trace, method, target));
    known[name] = map;
    return map;
  }

  private async compute(trace: Trace, method: string, target: number): Promise<Float32Array> {
    if (method === "occlusion") return occlusion(this.session.network, trace, target);
    const explain = METHODS[method];
    if (!explain) throw new Error(`There is no method ${method}.`);
    const gradients = await trace.gradientsOf(target);
    await breath();
    return explain(trace, gradients);
  }

  private get target(): number {
    return this.session.values.target ?? 0;
  }

  private async explain(still: Still): Promise<void> {
    const { session, target } = this;
    const { whole, pruned, values, size } = session;
    if (!whole) return;
    const traces: [string, Trace][] = pruned
      ? [
          ["", pruned],
          [".before", whole],
        ]
      : [["", whole]];
    const selected = values.method;
    const names = Object.keys(METHODS).sort((a, b) => +(b === selected) - +(a === selected));
    if (selected === "occlusion") names.unshift(selected);
    const tensors: MapsByMethod = {};
    for (const [i, method] of names.entries()) {
      session.say({
        state: "computing",
        label: "explaining the decision",
        progress: i / names.length,
      });
      for (const [suffix, trace] of traces) {
        const map = await this.of(trace, method, target);
        if (!still()) return;
        tensors[method + suffix] = floats([size.layers, size.rows, size.cols], map);
      }
      if (i === 0 || i === names.length - 1) session.publish({ _maps: encode(tensors) });
    }
  }

  /** What is known of the heads before they are measured. */
  private beginImportance(): void {
    const { whole, pruned, info } = this.session;
    if (!whole) return;
    const metrics = info.metrics.map(({ key }) => key);
    const known = this.measured.get(whole)?.get(this.target);
    this.publishImportance(pruned || !known ? unknown(whole, metrics) : known);
    this.session.publish({
      _importance_before: this.encoded(pruned && known ? known : {}, whole, "before"),
    });
  }

  private async measure(still: Still): Promise<void> {
    const { whole, shown } = this.session;
    if (!whole || !shown) return;
    const tables = await this.tables(shown, still, (known) => this.publishImportance(known));
    if (still() && tables) this.publishImportance(tables);
  }

  /** Measures the heads of the whole model, where some were pruned before it was done. */
  async measureBefore(still: Still): Promise<void> {
    const { whole } = this.session;
    if (whole && (await this.tables(whole, still, () => undefined))) this.beginImportance();
  }

  private async tables(
    trace: Trace,
    still: Still,
    tell: (tables: Tables) => void,
  ): Promise<Tables | null> {
    const { session, target } = this;
    const known = this.measured.get(trace) ?? new Map<number, Tables>();
    this.measured.set(trace, known);
    const done = known.get(target);
    if (done) return done;
    const tables = unknown(
      trace,
      session.info.metrics.map(({ key }) => key),
    );
    fillTaylor(tables, trace, await trace.gradientsOf(target));
    const { layers } = session.size;
    for (let layer = layers - 1; layer >= 0; layer--) {
      session.say({
        state: "computing",
        label: `removing the heads of layer ${layer}`,
        progress: 1 - (layer + 1) / layers,
      });
      await ablate(session.network, trace, layer, target, tables);
      if (!still()) return null;
      tell(tables);
    }
    known.set(target, tables);
    return tables;
  }

  private publishImportance(tables: Tables): void {
    const { shown } = this.session;
    if (shown) this.session.publish({ _importance_data: this.encoded(tables, shown, "after") });
  }

  private encoded(tables: Tables, { size }: Trace, when: "before" | "after"): DataView {
    const { decision } = this.session.values;
    if (!("rows" in decision)) return encode({});
    const after = when === "after" ? decision.target_after : null;
    const named: ImportanceTables = {};
    for (const [metric, table] of Object.entries(tables)) {
      named[metric] = floats([size.layers, size.heads], table.slice());
    }
    const baseline = after ?? decision.target_before;
    return encode<ImportanceTables, BaselineMetadata>(named, { baseline });
  }

  /** The share of the scenes that are named rightly. */
  private async count(still: Still): Promise<void> {
    const { session } = this;
    const heads = session.values.pruned_heads;
    const count = session.scenes.labels.length;
    session.say({ state: "computing", label: "counting" });
    this.accuracyBefore ??= await this.share([]);
    const before = this.accuracyBefore;
    if (!still()) return;
    const after = heads.length > 0 ? await this.share(heads) : null;
    if (still()) session.publish({ accuracy: { before, after, count } });
  }

  private async share(masked: readonly Head[]): Promise<number> {
    const { network, scenes } = this.session;
    const right: number[] = [];
    for (let start = 0; start < scenes.labels.length; start += AT_ONCE) {
      const labels = scenes.labels.slice(start, start + AT_ONCE);
      const inputs = labels.map((_, i) => scenePicture(scenes, start + i).input);
      const outcomes = await network.outcomes(inputs.map((input) => ({ input, masked })));
      outcomes.forEach(({ logits }, i) => {
        right.push(+(best(logits, 1)[0] === at(labels, i)));
      });
    }
    return total(right) / right.length;
  }
}
