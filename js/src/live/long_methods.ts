// Explainers that run the model many times: they are computed once they are selected.

import { integratedGradients } from "./integrated_gradients";
import type { Network } from "./network";
import { occlusion } from "./occlusion";
import type { Trace } from "./trace";
import type { Step } from "./turn";

type LongMethod = (
  network: Network,
  trace: Trace,
  target: number,
  step: Step,
) => Promise<Float32Array>;

export const LONG_METHODS: Record<string, LongMethod> = {
  occlusion,
  integrated_gradients: integratedGradients,
};
