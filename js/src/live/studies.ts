// What follows a trace, one after the other: maps, importance of the heads, accuracy on the scenes.

import type { BaselineMetadata, Head, ImportanceTables, MapsByMethod } from "../protocol/schema";
import { ablate, fillTaylor, type Tables, unknown } from "./importance";
import type { Job } from "./jobs";
import { LONG_METHODS } from "./long_methods";
import { METHODS } from "./maps";
import { at, best, total } from "./numbers";
import { scenePicture } from "./pictures";
import type { LiveSession } from "./session";
import { encode, floats } from "./tensors";
import type { Trace } from "./trace";
import type { Step, Steps } from "./turn";

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
  async follow(steps: Steps): Promise<void> {
    this.beginImportance();
    await this.explain(steps);
    await this.measure(steps);
    await this.count(steps);
  }

  /** A method's maps of a trace, [layer, patch]. */
  async of(
    trace: Trace,
    method: string,
    target: number,
    step: Step = () => undefined,
  ): Promise<Float32Array> {
    const maps = this.maps.get(trace) ?? {};
    this.maps.set(trace, maps);
    const name = `${method} ${target}`;
    const map = maps[name] ?? (await this.compute(trace, method, target, step));
    maps[name] = map;
    return map;
  }

  private async compute(
    trace: Trace,
    method: string,
    target: number,
    step: Step,
  ): Promise<Float32Array> {
    const long = LONG_METHODS[method];
    if (long) return long(this.session.network, trace, target, step);
    const explain = METHODS[method];
    if (!explain) throw new Error(`There is no method ${method}.`);
    const gradients = await trace.gradientsOf(target);
    await breath();
    return explain(trace, gradients);
  }

  private get target(): number {
    return this.session.values.target ?? 0;
  }

  private async explain(steps: Steps): Promise<void> {
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
    const there = (method: string) =>
      traces.every(([, trace]) => `${method} ${target}` in (this.maps.get(trace) ?? {}));
    const long = Object.keys(LONG_METHODS).filter((name) => name === selected || there(name));
    const names = [...long, ...Object.keys(METHODS)];
    names.sort((a, b) => +(b === selected) - +(a === selected));
    const tensors: MapsByMethod = {};
    const step = steps("explaining the decision");
    for (const [i, method] of names.entries()) {
      step(method in LONG_METHODS ? 0 : i / names.length);
      for (const [suffix, trace] of traces) {
        const map = await this.of(trace, method, target, step);
        step((i + 1) / names.length);
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
    const tables = this.measured.get(whole)?.get(this.target);
    this.publishImportance(pruned || !tables ? unknown(whole, metrics) : tables);
    this.session.publish({
      _importance_before: this.encoded(pruned && tables ? tables : {}, whole, "before"),
    });
  }

  private async measure(steps: Steps): Promise<void> {
    const { shown } = this.session;
    if (!shown) return;
    const tell = (known: Tables) => this.publishImportance(known);
    tell(await this.tables(shown, steps, tell));
  }

  /** Measures the heads of the whole model, where some were pruned before it was done. */
  measureBefore(): Job {
    const run = async (steps: Steps) => {
      const { whole } = this.session;
      if (!whole) return;
      await this.tables(whole, steps, () => undefined);
      this.beginImportance();
    };
    return { slot: "importance before", ofShown: true, run };
  }

  private async tables(
    trace: Trace,
    steps: Steps,
    tell: (tables: Tables) => void,
  ): Promise<Tables> {
    const { session, target } = this;
    const measured = this.measured.get(trace) ?? new Map<number, Tables>();
    this.measured.set(trace, measured);
    const done = measured.get(target);
    if (done) return done;
    const tables = unknown(
      trace,
      session.info.metrics.map(({ key }) => key),
    );
    fillTaylor(tables, trace, await trace.gradientsOf(target));
    const { layers } = session.size;
    for (let layer = layers - 1; layer >= 0; layer--) {
      const step = steps(`removing the heads of layer ${layer}`);
      step(1 - (layer + 1) / layers);
      await ablate(session.network, trace, layer, target, tables);
      step(1 - layer / layers);
      tell(tables);
    }
    measured.set(target, tables);
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

  /** How many of the scenes are named rightly. */
  private async count(steps: Steps): Promise<void> {
    const { session } = this;
    const heads = session.values.pruned_heads;
    const count = session.scenes.labels.length;
    const step = steps("counting");
    step(0);
    this.accuracyBefore ??= await this.share([]);
    const before = this.accuracyBefore;
    step(0.5);
    const after = heads.length > 0 ? await this.share(heads) : null;
    step(1);
    session.publish({ accuracy: { before, after, count } });
  }

  /** The share of the scenes that are named rightly without some heads. */
  async share(masked: readonly Head[]): Promise<number> {
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
