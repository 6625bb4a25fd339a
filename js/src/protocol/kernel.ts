// Whether the kernel still knows the widget, as far as the host lets one know.
//
// A kernel that was shut down is seen in its status, one that restarted in the changes of its status.
// A widget of a saved notebook stands beside a kernel that never heard of it: it is asked, and where
// it says nothing while it has nothing to do, it does not know the widget.

import { type Signal, signal } from "@preact/signals";
import type { AnyModel, Kernel } from "./model";

export type KernelState = "alive" | "gone" | "restarted" | "elsewhere";

const GONE = ["dead", "terminating"];
const RESTARTS = ["restarting", "autorestarting"];
const CHECK_MS = 2000;
/** So long may an idle kernel take to answer. */
const ANSWER_MS = 4000;

/** The kernel where the host tells of it; null where there is none, undefined where it does not say. */
function kernelOf({ widget_manager: manager }: AnyModel): Kernel | null | undefined {
  return manager && "kernel" in manager ? manager.kernel : undefined;
}

export class KernelWatch {
  readonly state: Signal<KernelState> = signal("alive");
  private watched: Kernel | null = null;
  private pings = 0;

  /** `ask` gets an answer from the kernel where it knows the widget. */
  constructor(
    private readonly model: AnyModel,
    private readonly ask: () => Promise<unknown>,
    private readonly signal_: AbortSignal,
  ) {
    const timer = setInterval(() => this.check(), CHECK_MS);
    const revived = () => this.ping();
    model.on("comm_live_update", revived); // the host has joined or parted them
    signal_.addEventListener("abort", () => {
      clearInterval(timer);
      model.off("comm_live_update", revived);
    });
    this.check();
    if (kernelOf(model)) this.ping();
  }

  /** Look at what the host says of the kernel now. */
  check(): void {
    const kernel = kernelOf(this.model);
    if (kernel && kernel !== this.watched) this.watch(kernel);
    const gone = kernel === null || kernel?.isDisposed || GONE.includes(kernel?.status ?? "");
    if (gone) this.state.value = "gone";
    else if (this.state.peek() === "gone") this.state.value = "alive";
  }

  /** A message could not be sent. */
  lost(): void {
    this.check();
    if (this.state.peek() === "alive") this.state.value = "restarted";
  }

  private watch(kernel: Kernel): void {
    this.watched = kernel;
    const changed = (_: unknown, status: string) => {
      if (RESTARTS.includes(status)) this.state.value = "restarted";
      else this.check();
    };
    kernel.statusChanged?.connect(changed);
    this.signal_.addEventListener("abort", () => kernel.statusChanged?.disconnect(changed));
  }

  private async ping(): Promise<void> {
    this.pings += 1;
    const ping = this.pings;
    let answered = false;
    const answer = this.ask().then(
      () => {
        answered = true;
        this.check();
        if (this.state.peek() !== "gone") this.state.value = "alive";
      },
      () => undefined,
    );
    let idle = 0;
    while (!answered && !this.signal_.aborted && idle < ANSWER_MS) {
      await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, ANSWER_MS / 8))]);
      idle = kernelOf(this.model)?.status === "idle" ? idle + ANSWER_MS / 8 : 0;
      if (this.state.peek() !== "alive") return; // it is known why no answer comes
      if (ping !== this.pings) return; // a question before it was connected need not have come
    }
    if (!answered && !this.signal_.aborted) this.state.value = "elsewhere";
  }
}
