// All traits of a widget's model together.

import {
  EXPLORER_RESULTS,
  EXPLORER_SELECTIONS,
  type ExplorerResults,
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

export type Traits = Selected &
  Results & { [K in keyof ExplorerResults]: ExplorerResults[K] | undefined };

export const TRAITS = [
  ...SELECTIONS,
  ...EXPLORER_SELECTIONS,
  ...RESULTS,
  ...EXPLORER_RESULTS,
] as const;
