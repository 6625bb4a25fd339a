// Whether the kernel is still there, as far as the host lets a widget know.

import type { AnyModel } from "./model";

const GONE = ["dead", "terminating"];

/** False once the host says that the kernel is gone; true where the host does not say. */
export function kernelAlive({ widget_manager: manager }: AnyModel): boolean {
  if (!manager || !("kernel" in manager)) return true;
  const { kernel } = manager;
  return !!kernel && !kernel.isDisposed && !GONE.includes(kernel.status ?? "");
}
