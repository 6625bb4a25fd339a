// Sees to it that what is sent arrives, in both directions.
//
// Every update of the model has a number. Some hosts lose updates and questions before their page is
// connected, or keep back what a thread sends until the browser says something. So nothing is asked
// until the kernel was found to be there; where something is awaited, it is asked for that again and
// again; and where numbers are missing by then, for all traits once more. Notebooks, which have the
// widgets' code in a model of its own, do neither.

import type { AnyModel } from "./model";
import type { Requests } from "./requests";

const BEAT_MS = 250;
/** An answer that has not come by then was lost. */
const LOST_MS = 4000;
/** All traits take longer. */
const ALL_LOST_MS = 20_000;
/** Where so many were lost one after the other, nobody may be there: it is asked seldom from then on. */
const MANY = 15;
const SELDOM_MS = 60_000;
/** So long after something was chosen its results may begin to come. */
const SOON_MS = 2000;

export class CatchUp {
  private first: number;
  private last: number;
  private count = 0;
  private askedAt = Number.NEGATIVE_INFINITY;
  private unanswered = 0;
  private soonTill = 0;
  /** All traits, while they are awaited. */
  private again: Promise<void> | null = null;

  constructor(
    model: AnyModel,
    private readonly requests: Requests,
    /** Whether something is being computed. */
    private readonly awaits: () => boolean,
    signal: AbortSignal,
  ) {
    this.first = this.last = numberOf(model);
    const arrived = () => {
      this.count += 1;
      this.last = Math.max(this.last, numberOf(model));
    };
    model.on("change:_update", arrived);
    signal.addEventListener("abort", () => model.off("change:_update", arrived));
    if (model.page || model.get("_bundle")) return;
    requests.hold();
    this.soon();
    this.beat();
    const timer = setInterval(() => this.beat(), BEAT_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Something was chosen, and results will come. */
  soon(): void {
    this.soonTill = performance.now() + SOON_MS;
    this.unanswered = 0;
  }

  /** Ask whether the kernel is there, and for what did not come. */
  async check(): Promise<void> {
    this.askedAt = performance.now();
    this.unanswered += 1;
    await this.requests.ask("alive", {});
    this.unanswered = 0;
    this.requests.release();
    this.askedAt = Number.NEGATIVE_INFINITY;
    if (this.last - this.first > this.count) this.again ??= this.takeAll();
  }

  private async takeAll(): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), ALL_LOST_MS);
    const taken = await this.requests.ask("all_traits", {}, limit.signal).catch(() => null);
    clearTimeout(timer);
    if (taken) {
      this.first = this.last;
      this.count = 0;
    }
    this.again = null;
  }

  private beat(): void {
    const now = performance.now();
    if (now < this.askedAt + (this.unanswered < MANY ? LOST_MS : SELDOM_MS)) return;
    if (now < this.soonTill || this.requests.areWaiting || this.awaits()) {
      this.check().catch(() => undefined);
    }
  }
}

const numberOf = (model: AnyModel): number => Number(model.get("_update") ?? 0);
