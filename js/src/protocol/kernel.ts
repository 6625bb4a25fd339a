// Whether the kernel is still there, as far as the host lets a widget know.

import type { AnyModel } from "./model";

interface Kernel {
  isDisposed?: boolean;
  status?: string;
}

const GONE = ["dead", "terminating"];

/** False once the host says that the kernel is gone; true where the host does not say. */
export function kernelAlive(model: AnyModel): boolean {
  const manager = (model as { widget_manager?: { kernel?: Kernel | null } }).widget_manager;
  if (!manager || !("kernel" in manager)) return true;
  const kernel = manager.kernel;
  return !!kernel && !kernel.isDisposed && !GONE.includes(kernel.status ?? "");
}
