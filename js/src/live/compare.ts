// Maps beside each other, as in `session/studies/comparison_kinds.py`.

import type { CompareParams, Comparison, ComparisonMaps, StampMetadata } from "../protocol/schema";
import type { Traits } from "../protocol/traits";
import { rankCorrelation } from "./correlation";
import { className } from "./decision";
import { METHODS } from "./maps";
import { at, best, softmax } from "./numbers";
import { scenePicture } from "./pictures";
import type { LiveSession } from "./session";
import type { Studies } from "./studies";
import { encode, floats } from "./tensors";
import type { Trace } from "./trace";

const LIKELY = 5;

interface Item {
  name: string;
  /** What a click selects. */
  key: string | number;
  note: string;
  /** [patch], after the last layer unless it says otherwise. */
  map: Float32Array;
  /** What it is a map of. */
  trace: Trace;
  target: number;
}

/** Maps that were compared, to be scored. */
export interface Compared {
  of: CompareParams["of"];
  items: Item[];
  stamp: number;
}

export async function compare(
  session: LiveSession,
  studies: Studies,
  { of, method = session.values.method, classes = [] }: CompareParams,
  stamp: number,
): Promise<{ compared: Compared; traits: Partial<Traits> } | null> {
  const trace = await session.ready();
  const version = session.values._version;
  const items = await itemsOf(session, studies, trace, of, method, classes);
  if (of !== "images" && session.shown !== trace) return null; // who looks at it asks again
  const { rows, cols } = session.size;
  const maps = new Float32Array(items.length * rows * cols);
  items.forEach(({ map }, i) => {
    maps.set(map, i * map.length);
  });
  const tensors: ComparisonMaps = { maps: floats([items.length, rows, cols], maps) };
  const _comparison: Comparison = {
    of,
    method,
    classes,
    asked: "",
    names: items.map(({ name }) => name),
    keys: items.map(({ key }) => key),
    notes: items.map(({ note }) => note),
    files: [],
    correlation: rankCorrelation(items.map(({ map }) => map)),
    skipped: {},
    target: of === "images" ? "" : className(session.info, session.values.target ?? 0),
    total: items.length,
    area: session.info.area,
    version,
    stamp,
  };
  const _comparison_maps = encode<ComparisonMaps, StampMetadata>(tensors, { stamp });
  return { compared: { of, items, stamp }, traits: { _comparison, _comparison_maps } };
}

async function itemsOf(
  session: LiveSession,
  studies: Studies,
  trace: Trace,
  of: string,
  method: string,
  added: number[],
): Promise<Item[]> {
  const { info, size } = session;
  const target = session.values.target ?? 0;
  const last = async (one: Trace, name: string, index: number) =>
    (await studies.of(one, name, index)).slice(-size.rows * size.cols);
  const items: Item[] = [];
  if (of === "methods") {
    for (const key of Object.keys(METHODS)) {
      const map = await last(trace, key, target);
      items.push({ name: key, key, note: "", map, trace, target });
    }
  } else if (of === "classes") {
    const p = softmax(trace.forward.logits);
    for (const key of new Set([...best(p, LIKELY), target, ...added])) {
      const map = await last(trace, method, key);
      items.push({
        name: className(info, key),
        key,
        note: percent(at(p, key)),
        map,
        trace,
        target: key,
      });
    }
  } else if (of === "layers") {
    const maps = await studies.of(trace, method, target);
    const count = size.rows * size.cols;
    for (let key = 0; key < size.layers; key++) {
      const map = maps.slice(key * count, (key + 1) * count);
      items.push({ name: `layer ${key}`, key, note: "", map, trace, target });
    }
  } else if (of === "images") {
    for (const [key, label] of session.scenes.labels.entries()) {
      const one = await session.pass(scenePicture(session.scenes, key), trace.masked);
      const map = await last(one, method, label);
      const note = className(info, label);
      items.push({ name: `image ${key}`, key, note, map, trace: one, target: label });
    }
  } else {
    throw new Error("There is only one model in this page.");
  }
  return items;
}

function percent(share: number): string {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}
