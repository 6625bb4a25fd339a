// A view is a function of the store.

import type { Store } from "../state/store";

export interface ViewProps {
  store: Store;
}
