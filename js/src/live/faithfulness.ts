// How faithful the shown maps are, as in `vit_attention_widget/session/studies/faithfulness.py`:
// insertion and deletion beside the center of the picture and a random map.

import type { Areas, Faithfulness as Known, MapScores } from "../protocol/schema";
import type { Compared } from "./compare";
import { className } from "./decision";
import { area, type Curves, center, FRACTIONS, insertionAndDeletion } from "./insertion_deletion";
import type { Job } from "./jobs";
import type { LiveSession } from "./session";
import type { Studies } from "./studies";
import type { Trace } from "./trace";
import type { Step, Steps } from "./turn";

export const SLOT = "faithfulness";

type Scored = Record<string, Curves>;

export class Faithfulness {
  /** By trace: the curves of maps that know nothing of the model, by name and class. */
  private readonly baselines = new WeakMap<Trace, Record<string, Curves>>();

  constructor(
    private readonly session: LiveSession,
    private readonly studies: Studies,
  ) {}

  /** Scores the map that is selected, as it stands after the selected layer. */
  scoreMap(): Job {
    const { method, selected_layer: layer } = this.session.values;
    return this.job("map", "scoring the map", async (step) => {
      const { session, studies } = this;
      const trace = await session.ready();
      const { values, size, info } = session;
      const target = values.target ?? 0;
      const maps = await studies.of(trace, method, target, step);
      const count = size.rows * size.cols;
      const map = maps.slice(layer * count, (layer + 1) * count);
      const scored = await this.scored(trace, target, map, ["center", "random"], step);
      const curves = Object.entries(scored);
      const of = (which: keyof Curves) =>
        Object.fromEntries(curves.map(([name, each]) => [name, each[which].map(rounded)]));
      const scores: MapScores = {
        method,
        layer,
        target: className(info, target),
        by_class: true,
        version: values._version,
        areas: areasOf(scored),
        fractions: FRACTIONS.map(rounded),
        insertion: of("insertion"),
        deletion: of("deletion"),
      };
      this.say({ map: scores });
    });
  }

  /** Scores every map of a comparison, as they come. */
  scoreCompared({ items, of, stamp }: Compared): Job {
    const areas: (Record<string, Areas> | null)[] = items.map(() => null);
    // Only methods and layers share the other baselines; else they differ from map to map.
    const baselines = of === "methods" || of === "layers" ? ["center", "random"] : ["center"];
    return this.job("compared", "scoring the maps", async (step) => {
      for (const [i, { trace, target, map }] of items.entries()) {
        if (areas[i]) continue;
        const part: Step = (fraction) => step((i + fraction) / items.length);
        areas[i] = areasOf(await this.scored(trace, target, map, baselines, part));
        this.say({ compared: { stamp, areas: [...areas] } });
      }
    });
  }

  private job(asked: "map" | "compared", label: string, score: (step: Step) => Promise<void>): Job {
    this.say({ asked });
    const run = (steps: Steps) => score(steps(label));
    return { slot: SLOT, ofShown: true, run, end: () => this.say({ asked: "" }) };
  }

  private say(news: Known): void {
    const { session } = this;
    session.publish({ faithfulness: { ...session.values.faithfulness, ...news } });
  }

  /** A map's curves ("map") and those of the baselines, which are kept for the next map. */
  private async scored(
    trace: Trace,
    target: number,
    map: Float32Array,
    baselines: string[],
    step: Step,
  ): Promise<Scored> {
    const { rows, cols } = this.session.size;
    const { random, shuffled } = this.session.drawn;
    const scores = this.baselines.get(trace) ?? {};
    this.baselines.set(trace, scores);
    const maps = { map, center: center(rows, cols), random: Float32Array.from(random) };
    const scored: Scored = {};
    const names = ["map", ...baselines] as (keyof typeof maps)[];
    for (const [i, name] of names.entries()) {
      const key = `${name} ${target}`;
      const part: Step = (fraction) => step((i + fraction) / names.length);
      const { network } = this.session;
      const curves =
        scores[key] ??
        (await insertionAndDeletion(network, trace, target, maps[name], shuffled, part));
      if (name !== "map") scores[key] = curves;
      scored[name] = curves;
    }
    return scored;
  }
}

const rounded = (value: number) => Math.round(value * 1e4) / 1e4;

const areasOf = (scored: Scored): Record<string, Areas> =>
  Object.fromEntries(
    Object.entries(scored).map(([name, { insertion, deletion }]) => [
      name,
      [rounded(area(insertion)), rounded(area(deletion))],
    ]),
  );
