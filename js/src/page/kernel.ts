// What stands for Python in a page of its own: it answers the requests of the protocol, and follows
// what is selected, as far as it can.

import type { Method, Params } from "../protocol/requests";
import type { Status } from "../protocol/schema";
import type { Selected, Traits } from "../protocol/traits";

/** What a request is answered with: bytes, or null where the result comes as a trait. */
export type Answer = DataView | null;

export interface PageKernel {
  /** Whether it only holds what was computed before: views then say so, and offer no more. */
  readonly saved: boolean;
  /**
   * Whether a selection can be followed here. It is asked before anything changes; where it cannot,
   * `status.error`, which is published, says why.
   */
  follows(changes: Partial<Selected>): boolean;
  /** Takes what was selected and can be followed; what comes of it is published. */
  select(changes: Partial<Selected>): void;
  /** Answers a request; rejects with an Error whose message says, to a reader, why it cannot. */
  answer<M extends Method>(
    method: M,
    params: Params<M>,
    signal: AbortSignal,
    buffer?: ArrayBuffer,
  ): Promise<Answer>;
}

/** Makes traits known to every widget of the page that shows the session. */
export type Publish = (traits: Partial<Traits>) => void;

/** Said of what needs more than the page holds. */
export const NEEDS_MODEL = "Needs the model: open the notebook.";

/** Nothing is being computed. */
export const IDLE: Status = {
  state: "idle",
  label: "",
  progress: null,
  error: null,
  milliseconds: null,
  paused: [],
};
