// What the live kernel is at: a selection is traced and followed, and what was asked for is done.

import { type Head, MOST_STEPS } from "../protocol/schema";
import { type Job, Jobs } from "./jobs";
import type { LiveSession } from "./session";
import type { Studies } from "./studies";
import type { Steps, Still } from "./turn";

/** Once the page has shown what it was told; a page that nobody sees paints nothing. */
const painted = () =>
  new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, 100);
  });

const outside = (heads: readonly Head[]) => (head: Head) =>
  !heads.some((each) => `${each}` === `${head}`);

export class Work {
  readonly jobs = new Jobs();

  constructor(
    private readonly session: LiveSession,
    private readonly studies: Studies,
  ) {}

  /** Computes what is selected now, what follows from it, and what was asked for before. */
  async look(label: string): Promise<void> {
    const { session, studies, jobs } = this;
    await this.turn(label, async (steps) => {
      await studies.follow(steps);
      await jobs.run(steps);
      session.say({});
    });
  }

  /** Computes what was selected anew. */
  follow(label: string): void {
    this.session.behind = true;
    this.look(label);
  }

  /** Prunes exactly these heads, which is a step that can be undone. */
  prune(heads: readonly Head[]): void {
    const { session } = this;
    const { pruned, undo } = session.values._history;
    const next = [...heads].sort(([l, h], [m, i]) => l - m || h - i);
    const changed = [...pruned.filter(outside(next)), ...next.filter(outside(pruned))];
    const history = { pruned: next, undo: [...undo, changed].slice(-MOST_STEPS), redo: [] };
    session.publish({ pruned_heads: next, _history: history });
    this.follow("without these heads");
  }

  /** Ends a job, and goes on with all else. */
  cancel(slot: string): void {
    this.jobs.drop((job) => job.slot === slot);
    this.look("going on");
  }

  /** Does what was asked for, and then goes on with all else. */
  async ask(job: Job): Promise<void> {
    const { session, studies, jobs } = this;
    jobs.add(job);
    await this.turn(session.values.status.label, async (steps) => {
      await jobs.run(steps);
      await studies.follow(steps);
      session.say({});
    });
  }

  /** Stops, until `goOn`. */
  stop(): void {
    const { label } = this.session.values.status;
    this.session.stop();
    this.jobs.hold();
    this.session.say({ paused: label ? [label] : [] });
  }

  goOn(): void {
    this.jobs.goOn();
    this.look("going on");
  }

  private async turn(label: string, work: (steps: Steps) => Promise<void>): Promise<void> {
    const { session } = this;
    const still = session.begin(label);
    try {
      if (session.behind && !(await this.traced(still))) return;
      if (still()) await work((name) => session.steps(still, name));
    } catch (error) {
      if (still()) session.fail(error);
    }
  }

  private async traced(still: Still): Promise<boolean> {
    this.jobs.drop(({ ofShown }) => ofShown);
    if (!(await this.session.trace(still))) return false;
    await painted();
    return true;
  }
}
