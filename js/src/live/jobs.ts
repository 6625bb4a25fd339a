// What was asked for and takes long: it is done in its turn, goes on where something newer came
// between, and waits where a person has stopped it.

import { Interrupted, type Steps } from "./turn";

export interface Job {
  /** A job takes the place of another one of its slot. */
  slot: string;
  /** Of what is shown: it ends with that. */
  ofShown: boolean;
  /** Called again where it was interrupted. */
  run(steps: Steps): Promise<void>;
  /** However it ended. */
  end?(): void;
}

export class Jobs {
  private waiting: Job[] = [];
  private held: Job[] = [];

  add(job: Job): void {
    this.drop(({ slot }) => slot === job.slot);
    this.waiting.unshift(job); // the latest question is answered first
  }

  /** Does all that waits. */
  async run(steps: Steps): Promise<void> {
    for (let job = this.waiting[0]; job; job = this.waiting[0]) {
      const current = job;
      try {
        await current.run(steps);
      } catch (error) {
        if (!(error instanceof Interrupted)) this.drop((each) => each === current);
        throw error;
      }
      this.drop((each) => each === current);
    }
  }

  drop(which: (job: Job) => boolean): void {
    const dropped = [...this.waiting, ...this.held].filter(which);
    this.waiting = this.waiting.filter((job) => !which(job));
    this.held = this.held.filter((job) => !which(job));
    for (const job of dropped) job.end?.();
  }

  hold(): void {
    this.held.push(...this.waiting.splice(0));
  }

  goOn(): void {
    this.waiting.push(...this.held.splice(0));
  }
}
