// The panels that are not open at first.

import type { ViewProps } from "../../ui/view";
import { HeadDetailView } from "../attention_matrix/head_detail";
import { CompareMaps } from "../compare/compare_maps";
import { DecisionByLayer } from "../decision_by_layer/decision_by_layer";
import { ImageOverview } from "../images/image_overview";
import { PatternMapView } from "../patterns/pattern_map";
import { StrengthView } from "../strength/strength_view";
import { WhatChanged } from "../what_changed/what_changed";

export const later = {
  changes: WhatChanged,
  by_layer: DecisionByLayer,
  detail: HeadDetailView,
  strength: StrengthView,
  images: ImageOverview,
  patterns: PatternMapView,
  compare: ({ store }: ViewProps) => <CompareMaps store={store} compact />,
};

export type LaterPanel = keyof typeof later;
