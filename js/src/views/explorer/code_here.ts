// Where the code of panels comes from that are not open at first: here, it is in the same file.
// `code_apart.ts` takes this file's place where it comes later.

import type { AnyModel } from "../../protocol/model";
import { type LaterPanels, later } from "./later_panels";

export function laterPanels(_: AnyModel): LaterPanels | Promise<LaterPanels> {
  return later;
}
