// What is left of the accuracy on the scenes as ever more heads are masked, as in
// `vit_attention_widget/session/studies/curves.py`.

import type { Head } from "../protocol/schema";
import { byImportance, cheapest, headsWithin } from "./head_order";
import type { Job } from "./jobs";
import type { LiveSession } from "./session";
import type { Studies } from "./studies";
import type { Step } from "./turn";

const same = ([layer, head]: Head, [l, h]: Head) => layer === l && head === h;

/** A curve that is being drawn; what it has is kept where it is interrupted. */
class Growing {
  readonly removed: Head[] = [];
  readonly values: number[] = [];
  private heads: readonly Head[] | null = null;

  constructor(
    private readonly session: LiveSession,
    private readonly studies: Studies,
    private readonly order: string,
  ) {}

  get total(): number {
    return this.session.size.layers * this.session.size.heads;
  }

  get name(): string {
    return this.order === "random" ? "random (seed 0)" : this.order;
  }

  /** Without one head more; `step` is told how far all of the curve is. */
  async grow(step: Step): Promise<void> {
    const first = this.values.length === 0;
    const head = first ? null : await this.next(step);
    const removed = head ? [...this.removed, head] : [];
    step(removed.length / this.total);
    this.values.push(await this.studies.share(removed));
    if (head) this.removed.push(head);
  }

  private async next(step: Step): Promise<Head> {
    const { session, order, removed } = this;
    if (order === "greedy") {
      const left = session.allHeads.filter((head) => !removed.some((each) => same(each, head)));
      return cheapest(session, removed, left, (part) => {
        step((removed.length + part) / this.total);
      });
    }
    this.heads ??=
      order === "random" ? session.drawn.heads : await byImportance(session, order, step);
    return this.heads[removed.length] as Head;
  }
}

/** Draws a curve; with `keep` only while that share is left, and then prunes as far. */
export function drawing(
  session: LiveSession,
  studies: Studies,
  order: string,
  keep: number | null,
  prune: (heads: Head[]) => void,
): Job {
  const curve = new Growing(session, studies, order);
  const within = () => (keep === null ? null : headsWithin(curve.values, keep));
  const show = (total: number) => {
    const { name, values, removed } = curve;
    const drawn = { name, metric: "accuracy" as const, values, order: removed, total };
    const { curves } = session.values;
    session.publish({ curves: { ...curves, [order]: structuredClone(drawn) } });
  };
  return {
    slot: `curve ${order}`,
    ofShown: false,
    run: async (steps) => {
      const step = steps(`masking heads by ${order}`);
      while (curve.removed.length < curve.total && within() === null) {
        await curve.grow(step);
        show(curve.total);
      }
      show(curve.removed.length); // one that ends early is finished, too
      if (keep !== null) prune(curve.removed.slice(0, within() ?? curve.total));
    },
  };
}
