// The panels of the Explorer. One line a panel; its id also stands in PANELS of
// vit_attention_widget/widgets/explorer.py. The order here is the usual one, from top to bottom.

import type { ComponentType } from "preact";
import type { ViewProps } from "../../ui/view";
import { Decision } from "../decision/decision";
import { HeadGrid } from "../heads/head_grid";
import { Scrubber } from "../layers/scrubber";
import { Picture } from "../picture/picture";

export interface PanelEntry {
  id: string;
  /** What the button that opens it says. */
  title: string;
  /** A view that stands in a Panel, which has room for the handle and the close button. */
  View: ComponentType<ViewProps> | "later";
  /** Open unless the user says otherwise. */
  open: boolean;
  /** Wide panels need the wide column; narrow ones may stand beside it, or in it. */
  column: "narrow" | "wide";
}

const Film = ({ store }: ViewProps) => <Scrubber store={store} compact />;

// biome-ignore format: a table
export const PANELS: readonly PanelEntry[] = [
  { id: "picture", title: "picture", View: Picture, open: true, column: "narrow" },
  { id: "decision", title: "decision", View: Decision, open: true, column: "narrow" },
  { id: "heads", title: "heads", View: HeadGrid, open: true, column: "wide" },
  { id: "changes", title: "what changed", View: "later", open: false, column: "wide" },
  { id: "film", title: "layers", View: Film, open: true, column: "wide" },
  { id: "by_layer", title: "decision by layer", View: "later", open: false, column: "wide" },
  { id: "detail", title: "attention matrix", View: "later", open: false, column: "wide" },
  { id: "strength", title: "attention distance and entropy", View: "later", open: false, column: "wide" },
  { id: "images", title: "images by head importance", View: "later", open: false, column: "wide" },
  { id: "patterns", title: "patterns", View: "later", open: false, column: "wide" },
  { id: "compare", title: "compare maps", View: "later", open: false, column: "wide" },
];
