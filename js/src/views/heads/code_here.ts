// Where the code of parts comes from that are not open at first: here, it is in the same file.
// `ui/code_apart.ts` takes this file's place where it comes later.

import type { AnyModel } from "../../protocol/model";
import { later as parts } from "./later_parts";

export const later = (_: AnyModel) => parts;
