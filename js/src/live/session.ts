// What the parts of the live kernel share: what is looked at, what is selected, and whose turn it is.

import { IDLE, type Publish } from "../page/kernel";
import type { Head, ModelInfo, Status } from "../protocol/schema";
import type { Traits } from "../protocol/traits";
import { attentionRows } from "./attention";
import { decision } from "./decision";
import type { Network } from "./network";
import { best } from "./numbers";
import type { Size } from "./passes";
import { type Picture, png, type Scenes } from "./pictures";
import { EMPTY } from "./tensors";
import { Trace } from "./trace";
import { Interrupted, type Step, type Still } from "./turn";

/** What belongs to one picture, and is nothing for another. */
const OF_PICTURE: Partial<Traits> = {
  _maps: EMPTY,
  _importance_data: EMPTY,
  _importance_before: EMPTY,
  _strength_data: EMPTY,
  _layer_decisions: EMPTY,
  _saved_model: {},
  _patterns_here: EMPTY,
  faithfulness: {},
};

/** What Python's generators draw, so that the page has the same. */
export interface Drawn {
  /** A random map, [patch]. */
  random: number[];
  /** Patches, in the order of those of equal value. */
  shuffled: number[];
  /** All heads, in a random order. */
  heads: Head[];
}

export class LiveSession {
  whole: Trace | null = null;
  pruned: Trace | null = null;
  followsPrediction = true;
  private turn = 0;
  /** Whether something was selected that is not traced yet. */
  behind = true;
  private told: ((trace: Trace) => void)[] = [];

  constructor(
    /** The traits as they are now. */
    readonly values: Traits,
    readonly network: Network,
    readonly size: Size,
    readonly scenes: Scenes,
    readonly drawn: Drawn,
    readonly publish: Publish,
    public picture: Picture,
  ) {}

  get info(): ModelInfo {
    return this.values._model_info as ModelInfo;
  }

  get allHeads(): Head[] {
    const { layers, heads } = this.size;
    return Array.from({ length: layers * heads }, (_, i) => [Math.floor(i / heads), i % heads]);
  }

  /** Side of a patch in pixels. */
  get patch(): number {
    return this.info.image_width / this.size.cols;
  }

  get shown(): Trace | null {
    return this.pruned ?? this.whole;
  }

  /** The trace of what is shown, once there is one. */
  ready(): Promise<Trace> {
    if (this.shown) return Promise.resolve(this.shown);
    return new Promise((resolve) => {
      this.told.push(resolve);
    });
  }

  /** Takes the turn from what is being computed. */
  begin(label: string): Still {
    this.turn += 1;
    const mine = this.turn;
    this.say({ state: "computing", label, error: null });
    return () => this.turn === mine;
  }

  /** The steps of what was begun. */
  steps(still: Still, label: string): Step {
    return (progress) => {
      if (!still()) throw new Interrupted();
      this.say({ state: "computing", label, progress });
    };
  }

  /** What is being computed no longer counts. */
  stop(): void {
    this.turn += 1;
  }

  say(status: Partial<Status>): void {
    const { milliseconds, error } = this.values.status; // what went wrong stays until a new choice
    this.publish({ status: { ...IDLE, milliseconds, error, ...status } });
  }

  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.say({ state: "error", error: { message, hint: "Reload the page.", details: "" } });
  }

  /** Turns to another picture, which stands nowhere in the set unless `selected` says so. */
  async turnTo(picture: Picture, selected: Partial<Traits>): Promise<void> {
    this.picture = picture;
    this.whole = this.pruned = null;
    this.followsPrediction = true;
    this.behind = true;
    const drawn = await png(picture);
    if (picture !== this.picture) return; // the next one was turned to meanwhile
    this.publish({
      ...OF_PICTURE,
      ...selected,
      _picture: drawn,
      _model_info: { ...this.info, image_name: picture.name },
    });
  }

  /** Runs what is selected as far as it is not there, and says what is decided. */
  async trace(still: Still): Promise<boolean> {
    const { values, picture } = this;
    const started = performance.now();
    const whole = this.whole ?? (await this.pass(picture, []));
    if (picture !== this.picture) return false;
    this.whole = whole;
    if (!still()) return false;
    const heads = values.pruned_heads;
    const same = `${this.pruned?.masked}` === `${heads}`;
    const pruned = heads.length === 0 ? null : same ? this.pruned : await this.pass(picture, heads);
    if (!still()) return false;
    this.pruned = pruned;
    this.behind = false;
    const predicted = best(whole.forward.logits, 1)[0] ?? 0;
    const target = this.followsPrediction ? predicted : (values.target ?? predicted);
    const shown = pruned ?? whole;
    this.publish({
      target,
      decision: decision(this.info, whole, pruned, target, this.followsPrediction),
      _attention_rows: attentionRows(shown, values.selected_token, values.direction),
      _version: values._version + 1,
    });
    const milliseconds = performance.now() - started;
    this.publish({ status: { ...values.status, milliseconds } });
    performance.mark("decided");
    for (const tell of this.told.splice(0)) tell(shown);
    return true;
  }

  /** A trace of a picture without some heads. */
  async pass({ input }: Picture, masked: readonly Head[]): Promise<Trace> {
    const forward = await this.network.forward({ input, masked });
    return new Trace(this.network, this.size, input, masked, forward);
  }
}
