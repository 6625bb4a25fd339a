// What the model decides, as `session/payloads.py` says it.

import type { Decision, DecisionRow, ModelInfo } from "../protocol/schema";
import { at, best, softmax } from "./numbers";
import type { Trace } from "./trace";

const LIKELY = 5;

export const className = (info: ModelInfo, index: number) =>
  info.class_names?.[index] ?? `class ${index}`;

export function decision(
  info: ModelInfo,
  whole: Trace,
  pruned: Trace | null,
  target: number,
  followsPrediction: boolean,
): Decision {
  const before = softmax(whole.forward.logits);
  const after = pruned && softmax(pruned.forward.logits);
  const likely = [...best(before, LIKELY), ...(after ? best(after, LIKELY) : []), target];
  const rows: DecisionRow[] = [...new Set(likely)].map((index) => ({
    index,
    name: className(info, index),
    before: at(before, index),
    after: after && at(after, index),
  }));
  const now = (row: DecisionRow) => row.after ?? row.before;
  return {
    target,
    target_name: className(info, target),
    follows_prediction: followsPrediction,
    target_before: at(before, target),
    target_after: after && at(after, target),
    pruned: [...(pruned?.masked ?? [])],
    rows: rows.sort((a, b) => now(b) - now(a)),
  };
}
