// The part of anywidget's model that the views use; tests and exported pages bring their own.

interface Manager {
  readonly kernel?: Kernel | null;
  get_model?(id: string): Promise<Pick<AnyModel, "get">>;
}

export interface Kernel {
  readonly isDisposed?: boolean;
  readonly status?: string;
  readonly statusChanged?: StatusSignal;
}

type StatusListener = (kernel: unknown, status: string) => void;

interface StatusSignal {
  connect(listener: StatusListener): unknown;
  disconnect(listener: StatusListener): unknown;
}

/** A page of its own in place of a notebook. */
export interface Page {
  /** Whether a selection can be followed here; where not, the status says why. */
  follows(changes: object): boolean;
  /** Whether it only holds what was computed before. */
  readonly saved: boolean;
}

export interface AnyModel {
  /** Where there is no notebook. */
  readonly page?: Page;
  /** What a notebook's models have in common. */
  readonly widget_manager?: Manager;
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  // biome-ignore lint/suspicious/noExplicitAny: the host passes whatever belongs to the event
  on(event: string, listener: (...values: any[]) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  off(event: string, listener: (...values: any[]) => void): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
}
