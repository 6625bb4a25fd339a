// All traits of a widget's model together.

import {
  EXPLORER_SELECTIONS,
  type ExplorerSelections,
  RESULTS,
  type Results,
  SELECTIONS,
  type Selections,
} from "./schema";

/** What the browser may change; other widgets than the Explorer have none of its own. */
export type Selected = Selections & {
  [K in keyof ExplorerSelections]: ExplorerSelections[K] | undefined;
};

export type Traits = Selected & Results;

export const TRAITS = [...SELECTIONS, ...EXPLORER_SELECTIONS, ...RESULTS] as const;
