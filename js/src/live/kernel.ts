// What stands for Python in the live page: the model itself runs here, and answers as a session does.

import type { Answer, PageKernel, Publish } from "../page/kernel";
import type { Method, Params } from "../protocol/requests";
import type { Selected, Traits } from "../protocol/traits";
import { type Answers, answersOf } from "./answers";
import { Brought } from "./brought";
import { LONG_METHODS } from "./long_methods";
import type { Network } from "./network";
import type { Size } from "./passes";
import { Patterns } from "./patterns/study";
import { type Scenes, scenePicture } from "./pictures";
import { type Drawn, LiveSession } from "./session";
import { Studies } from "./studies";
import { Work } from "./work";

const NEEDS_PYTHON = "Needs Python: pip install vit-attention-widget.";

/** Requests that only Python answers, and what they are for. */
const ONLY_PYTHON: Partial<Record<Method, string>> = {
  partial: "Here a head can only be masked as a whole.",
  page: "The page is not written as a file here.",
  save_model: "The smaller model is not written here.",
  overview: "Pictures are not laid out here.",
  interactions: "Which heads take over is not measured here.",
  prompts: "This model knows its own classes only.",
  learn_patterns: "The map of patterns was learned from the scenes of this page.",
};

export class LiveKernel implements PageKernel {
  readonly saved = false;
  private readonly session: LiveSession;
  private readonly work: Work;
  private readonly brought: Brought;
  private readonly answers: Answers;

  constructor(
    values: Traits,
    network: Network,
    size: Size,
    scenes: Scenes,
    drawn: Drawn,
    publish: Publish,
    patterns: URL,
  ) {
    const picture = scenePicture(scenes, values.selected_image);
    this.session = new LiveSession(values, network, size, scenes, drawn, publish, picture);
    const studies = new Studies(this.session);
    this.work = new Work(this.session, studies);
    this.brought = new Brought(this.session);
    this.answers = answersOf(
      this.session,
      studies,
      this.brought,
      new Patterns(this.session, patterns),
      this.work,
    );
    this.work.look("loading the model");
  }

  follows({ selected_image: image }: Partial<Selected>): boolean {
    if (image !== -1 || this.brought.any) return true;
    const { values, publish } = this.session;
    const message = "No picture was brought here yet.";
    const error = { message, hint: "Draw something, or drop one.", details: "" };
    publish({ status: { ...values.status, error } });
    return false;
  }

  select(changes: Partial<Selected>): void {
    const { session, work } = this;
    if (changes.target !== undefined) session.followsPrediction = changes.target === null;
    const { selected_image: image } = changes;
    if (image !== undefined) this.turnTo(image);
    else if (changes.target !== undefined) work.follow("another class");
    else if (changes.pruned_heads) work.follow("without these heads");
    else if ((changes.method ?? "") in LONG_METHODS) work.look("explaining the decision");
    else if (session.values.status.error && session.shown) {
      session.publish({ status: { ...session.values.status, error: null } });
    }
  }

  async answer<M extends Method>(
    method: M,
    params: Params<M>,
    _: AbortSignal,
    buffer?: ArrayBuffer,
  ): Promise<Answer> {
    const answer = this.answers[method] as
      | ((params: Params<M>, buffer?: ArrayBuffer) => Promise<Answer>)
      | undefined;
    if (answer) return answer(params, buffer);
    throw new Error(`${ONLY_PYTHON[method] ?? "This is not done here."} ${NEEDS_PYTHON}`);
  }

  /** To an image of the set, or, by -1, to the last that was brought. */
  private async turnTo(image: number): Promise<void> {
    const { session, brought } = this;
    if (image === -1) {
      await brought.again();
    } else {
      await session.turnTo(scenePicture(session.scenes, image), {
        selected_image: image,
        ...(brought.any && brought.told(-1)),
      });
    }
    this.work.look("another picture");
  }
}
