// Which classes a person means by what was typed, the most likely to be meant first.

import type { ModelInfo } from "../protocol/schema";
import { className } from "./words";

/**
 * Classes whose name holds every word of the text, and the one whose number it is: that one first,
 * then the `likely` ones in their order, names that begin with the text, names of which a word
 * does, and all others. Without a text these are all classes, the likely ones first.
 */
export function searchClasses(info: ModelInfo, likely: readonly number[], text: string): number[] {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/);
  const matches = (name: string) => words.every((word) => name.includes(word));
  const ranked: number[][] = [[], [], [], []];
  const expected = new Set<number>();
  for (let index = 0; index < info.num_classes; index++) {
    const name = className(info, index).toLowerCase();
    if (`${index}` === wanted) ranked[0]?.push(index);
    else if (!matches(name)) continue;
    else if (likely.includes(index)) expected.add(index);
    else if (name.startsWith(wanted)) ranked[1]?.push(index);
    else ranked[name.includes(` ${wanted}`) ? 2 : 3]?.push(index);
  }
  const [itself = [], ...others] = ranked;
  return [...itself, ...likely.filter((index) => expected.has(index)), ...others.flat()];
}
