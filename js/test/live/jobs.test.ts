import { describe, expect, it, vi } from "vitest";
import { type Job, Jobs } from "../../src/live/jobs";
import { Interrupted, type Steps } from "../../src/live/turn";

/** A job of three pieces, which keeps what it has. */
function counting(slot: string, done: string[], ofShown = false) {
  let pieces = 0;
  const end = vi.fn();
  const run = async (steps: Steps) => {
    const step = steps(slot);
    while (pieces < 3) {
      step(pieces / 3);
      await Promise.resolve();
      pieces += 1;
      done.push(`${slot}${pieces}`);
    }
  };
  return { slot, ofShown, run, end } satisfies Job;
}

const steps: Steps = () => () => undefined;
/** Steps that end after so many. */
const only = (count: number): Steps => {
  let left = count;
  return () => () => {
    if (left === 0) throw new Interrupted();
    left -= 1;
  };
};

describe("jobs", () => {
  it("are done one after another, the latest question first", async () => {
    const done: string[] = [];
    const jobs = new Jobs();
    jobs.add(counting("a", done));
    jobs.add(counting("b", done));
    await jobs.run(steps);
    expect(done).toEqual(["b1", "b2", "b3", "a1", "a2", "a3"]);
  });

  it("go on where they were interrupted", async () => {
    const done: string[] = [];
    const jobs = new Jobs();
    const job = counting("a", done);
    jobs.add(job);
    await expect(jobs.run(only(2))).rejects.toThrow(Interrupted);
    expect(job.end).not.toHaveBeenCalled();
    await jobs.run(steps);
    expect(done).toEqual(["a1", "a2", "a3"]);
    expect(job.end).toHaveBeenCalledOnce();
  });

  it("end with what is shown, where they are of it", async () => {
    const done: string[] = [];
    const jobs = new Jobs();
    const job = counting("a", done, true);
    jobs.add(job);
    jobs.add(counting("b", done));
    jobs.drop(({ ofShown }) => ofShown);
    await jobs.run(steps);
    expect(job.end).toHaveBeenCalledOnce();
    expect(done).toEqual(["b1", "b2", "b3"]);
  });

  it("wait where a person stopped them", async () => {
    const done: string[] = [];
    const jobs = new Jobs();
    jobs.add(counting("a", done));
    await expect(jobs.run(only(1))).rejects.toThrow(Interrupted);
    jobs.hold();
    await jobs.run(steps);
    expect(done).toEqual(["a1"]);
    jobs.goOn();
    await jobs.run(steps);
    expect(done).toEqual(["a1", "a2", "a3"]);
  });

  it("are dropped where they fail, and replace one another in a slot", async () => {
    const done: string[] = [];
    const jobs = new Jobs();
    const end = vi.fn();
    const first = counting("a", done);
    jobs.add(first);
    jobs.add({ slot: "a", ofShown: false, end, run: () => Promise.reject(new Error("no")) });
    expect(first.end).toHaveBeenCalledOnce();
    await expect(jobs.run(steps)).rejects.toThrow("no");
    expect(end).toHaveBeenCalledOnce();
    await jobs.run(steps);
    expect(done).toEqual([]);
  });
});
