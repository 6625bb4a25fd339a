// Where the code of panels comes from that are not open at first: here, it is in the same file.
// `ui/code_apart.ts` takes this file's place where it comes later.

import type { AnyModel } from "../../protocol/model";
import { later as panels } from "./later_panels";

export const later = (_: AnyModel) => panels;
