// What the views say, in a person's words.

import type { DecisionRow, ModelInfo } from "../protocol/schema";
import type { Traits } from "../protocol/traits";

/** "class", or "patch (row 6, column 4)". */
export function tokenName(info: ModelInfo, token: number): string {
  const patch = token - info.prefix.length;
  if (patch < 0) return `${info.prefix[token] ?? ""} token`;
  return `patch (${Math.floor(patch / info.cols)}, ${patch % info.cols})`;
}

/** Where the class token stands among the tokens: behind registers in some models, in others nowhere. */
export function classToken(info: ModelInfo): number | null {
  const place = info.prefix.indexOf("class");
  return place < 0 ? null : place;
}

/** "12,288". */
export const many = (count: number) => count.toLocaleString("en");

/** "1 class", "1,234 classes". */
export const classesOf = (count: number) => (count === 1 ? "1 class" : `${many(count)} classes`);

/** Of classes of which only the first are named. */
export const moreClasses = (count: number) =>
  count === 1 ? "one more class" : `${many(count)} more classes`;

export function headName(layer: number, head: number): string {
  return head < 0 ? `layer ${layer}, mean of heads` : `layer ${layer}, head ${head}`;
}

export function directionWords(direction: Traits["direction"]): string {
  return direction === "attends_to" ? "attends to" : "attended by";
}

/** "what the class token attends to", "what attends to patch (3, 4)". */
export function whatAttends(
  info: ModelInfo,
  token: number,
  direction: Traits["direction"],
): string {
  const name = tokenName(info, token);
  const it = token < info.prefix.length ? `the ${name}` : name;
  return direction === "attends_to" ? `what ${it} attends to` : `what attends to ${it}`;
}

/** Three significant digits, without an exponent where a person would not write one. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-5) return value.toExponential(1);
  if (size < 0.001) return value.toFixed(5);
  return value.toFixed(size < 0.1 ? 4 : size < 10 ? 3 : 1);
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A probability, or another share of one. */
export function probability(value: number): string {
  return value.toFixed(3);
}

/** What the model says of a class, as a number: a probability, or a value that means itself. */
export function output(info: Pick<ModelInfo, "output">, value: number): string {
  return info.output === "value" ? number(value) : probability(value);
}

/** What the model says of a class as it stands now: without the pruned heads, where some are. */
export function now(row: Pick<DecisionRow, "before" | "after">): number {
  return row.after ?? row.before;
}

/** What that number is called. */
export function outputName(info: Pick<ModelInfo, "output">): "probability" | "value" {
  return info.output === "value" ? "value" : "probability";
}

/** "1 head", "5 heads". */
export function counted(count: number, noun: string, one = "1"): string {
  return count === 1 ? `${one} ${noun}` : `${count} ${noun}s`;
}

export function className(info: ModelInfo, index: number): string {
  if (info.class_names) return info.class_names[index] ?? `class ${index}`;
  if (info.output !== "value") return `class ${index}`;
  return info.num_classes === 1 ? "value" : `value ${index}`;
}

export function methodName(info: ModelInfo, method: string): string {
  return info.methods.find(({ key }) => key === method)?.label ?? method;
}

const ORDINALS = ["first", "second", "third"];

/** "first of 36", "12th of 36". */
export function rank(place: number, count: number): string {
  const tail =
    place % 100 > 10 && place % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th");
  return `${ORDINALS[place - 1] ?? `${place}${tail}`} of ${count}`;
}
