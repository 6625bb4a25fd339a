// What stands for Python in the live page: the model itself runs here, and answers as a session does.

import type { Answer, PageKernel, Publish } from "../page/kernel";
import type { Method, Params } from "../protocol/requests";
import type { Selected, Traits } from "../protocol/traits";
import { attentionLayer, attentionRows } from "./attention";
import { Brought } from "./brought";
import { compare } from "./compare";
import { layerDecisions } from "./lens";
import { METHODS } from "./maps";
import type { Network } from "./network";
import type { Size } from "./passes";
import { png, type Scenes, scenePicture } from "./pictures";
import { LiveSession } from "./session";
import { strength, strengthOfSet } from "./strength";
import { Studies } from "./studies";

const NEEDS_PYTHON = "Needs Python: pip install vit-attention-widget.";

/** Requests that only Python answers, and what they are for. */
const ONLY_PYTHON: Partial<Record<Method, string>> = {
  partial: "A head can be masked here as a whole only.",
  curve: "Curves of ever more heads are not drawn here.",
  prune_to: "Curves of ever more heads are not drawn here.",
  save_model: "The smaller model is not written here.",
  overview: "Pictures are not laid out here.",
  prompts: "This model knows its own classes only.",
  score_map: "Maps are not scored here.",
  score_compared: "Maps are not scored here.",
  learn_patterns: "Patterns are not learned here.",
  place_heads: "Patterns are not learned here.",
};

type Answers = { [M in Method]?: (params: Params<M>, buffer?: ArrayBuffer) => Promise<Answer> };

/** Once the page has shown what it was told; a page that nobody sees paints nothing. */
const painted = () =>
  new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, 100);
  });

export class LiveKernel implements PageKernel {
  readonly saved = false;
  private readonly session: LiveSession;
  private readonly studies: Studies;
  private readonly brought: Brought;
  private readonly answers: Answers;
  private stamp = 0;

  constructor(values: Traits, network: Network, size: Size, scenes: Scenes, publish: Publish) {
    const picture = scenePicture(scenes, values.selected_image);
    this.session = new LiveSession(values, network, size, scenes, publish, picture);
    this.studies = new Studies(this.session);
    this.brought = new Brought(this.session);
    this.answers = this.all();
    this.look("loading the model");
  }

  follows(changes: Partial<Selected>): boolean {
    const problem = this.problem(changes);
    const { values, publish } = this.session;
    if (problem) publish({ status: { ...values.status, error: { details: "", ...problem } } });
    return problem === null;
  }

  /** What stands in the way of a selection. */
  private problem({ method, selected_image: image }: Partial<Selected>) {
    if (method !== undefined && !(method in METHODS) && method !== "occlusion") {
      const label = this.session.info.methods.find(({ key }) => key === method)?.label ?? method;
      return { message: `${label}: not in this page.`, hint: NEEDS_PYTHON };
    }
    if (image === -1 && !this.brought.any) {
      return { message: "No picture was brought here yet.", hint: "Draw something, or drop one." };
    }
    return null;
  }

  select(changes: Partial<Selected>): void {
    const { session } = this;
    if (changes.target !== undefined) session.followsPrediction = changes.target === null;
    const { selected_image: image } = changes;
    if (image === -1) this.turn(() => this.brought.again());
    else if (image !== undefined) this.turn(() => this.open(image));
    else if (changes.target !== undefined) this.look("another class");
    else if (changes.pruned_heads) this.look("without these heads");
    else if (changes.method === "occlusion") this.look("explaining by occlusion");
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

  private open(image: number): Promise<void> {
    return this.session.turnTo(scenePicture(this.session.scenes, image), {
      selected_image: image,
      _brought: { ...this.session.values._brought, shown: -1 },
    });
  }

  private async turn(to: () => Promise<void>): Promise<void> {
    await to();
    this.look("another picture");
  }

  /** Computes what is selected now, and what follows from it. */
  private async look(label: string): Promise<void> {
    const still = this.session.begin(label);
    try {
      if (!(await this.session.trace(still))) return;
      await painted();
      if (still()) await this.studies.follow(still);
    } catch (error) {
      if (still()) this.session.fail(error);
    }
  }

  private all(): Answers {
    const { session, studies, brought } = this;
    const publish = async (traits: Partial<Traits> | null): Promise<null> => {
      if (traits) session.publish(traits);
      return null;
    };
    const nothing = () => publish(null);
    return {
      alive: nothing,
      images: nothing,
      attention: async ({ layer }) => attentionLayer(await session.ready(), layer),
      rows: async ({ token, direction }) => {
        const trace = await session.ready();
        return publish({ _attention_rows: attentionRows(trace, token, direction) });
      },
      image: ({ index }) => png(scenePicture(session.scenes, index)),
      strength: async () => {
        const trace = await session.ready();
        return publish({ _strength_data: strength(trace, session.patch) });
      },
      strength_set: async () => {
        const { labels } = session.scenes;
        const passes = labels.map((_, i) => session.pass(scenePicture(session.scenes, i), []));
        const traces = await Promise.all(passes);
        return publish({ _strength_set: strengthOfSet(traces, session.patch) });
      },
      layer_decisions: async () => {
        const trace = await session.ready();
        const { values, info } = session;
        const target = values.target ?? 0;
        return publish({
          _layer_decisions: layerDecisions(trace, session.pruned && session.whole, {
            version: values._version,
            target,
            target_name: info.class_names?.[target] ?? "",
            refused: "",
            patches_refused: "",
          }),
        });
      },
      importance_before: async () => {
        const still = session.begin("removing the heads of the whole model");
        await studies.measureBefore(still);
        if (still()) await studies.follow(still);
        return null;
      },
      compare: async (params) => {
        this.stamp += 1;
        return publish(await compare(session, studies, params, this.stamp));
      },
      bring_picture: async (params, buffer) => {
        if (await brought.receive(params, buffer)) this.look("another picture");
        return null;
      },
      brought_picture: async ({ index }) => {
        await this.turn(() => brought.again(index));
        return null;
      },
      cancel_job: async () => {
        const { label } = session.values.status;
        session.stop();
        session.say({ paused: label ? [label] : [] });
        return null;
      },
      go_on: async () => {
        this.look("going on");
        return null;
      },
    };
  }
}
