// The requests that the live page answers, as `vit_attention_widget/widgets/answers.py` does.

import type { Answer } from "../page/kernel";
import type { Method, Params } from "../protocol/requests";
import type { Traits } from "../protocol/traits";
import { attentionLayer, attentionRows } from "./attention";
import type { Brought } from "./brought";
import { type Compared, compare } from "./compare";
import { drawing } from "./curves";
import { Faithfulness, SLOT } from "./faithfulness";
import type { Job } from "./jobs";
import { layerDecisions } from "./lens";
import type { Patterns } from "./patterns/study";
import { png, scenePicture } from "./pictures";
import type { LiveSession } from "./session";
import { strength, strengthOfSet } from "./strength";
import type { Studies } from "./studies";
import type { Work } from "./work";

export type Answers = {
  [M in Method]?: (params: Params<M>, buffer?: ArrayBuffer) => Promise<Answer>;
};

export function answersOf(
  session: LiveSession,
  studies: Studies,
  brought: Brought,
  patterns: Patterns,
  work: Work,
): Answers {
  const faithfulness = new Faithfulness(session, studies);
  let compared: Compared | null = null;
  let stamp = 0;
  const publish = async (traits: Partial<Traits> | null): Promise<null> => {
    if (traits) session.publish(traits);
    return null;
  };
  const nothing = () => publish(null);
  const begin = async (job: Job): Promise<null> => {
    work.ask(job);
    return null;
  };
  const draw = (order: string, keep: number | null) =>
    begin(drawing(session, studies, order, keep, (heads) => work.prune(heads)));
  return {
    alive: nothing,
    all_traits: nothing,
    images: nothing,
    attention: async ({ layer }) => attentionLayer(await session.ready(), layer),
    rows: async ({ token, direction }) => {
      const trace = await session.ready();
      return publish({ _attention_rows: attentionRows(trace, token, direction) });
    },
    more_rows: nothing,
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
    importance_before: () => begin(studies.measureBefore()),
    compare: async (params) => {
      stamp += 1;
      const done = await compare(session, studies, params, stamp);
      if (done) compared = done.compared;
      return publish(done?.traits ?? null);
    },
    score_map: () => begin(faithfulness.scoreMap()),
    score_compared: async () => {
      if (!compared) throw new Error("No maps were compared yet.");
      return begin(faithfulness.scoreCompared(compared));
    },
    cancel_scores: async () => {
      work.cancel(SLOT);
      return null;
    },
    curve: ({ order }) => draw(order, null),
    prune_to: ({ order, fall }) => draw(order, 1 - fall / 100),
    place_heads: async () => publish({ _patterns_here: await patterns.place() }),
    pattern_map: ({ family }) => patterns.map(family),
    pattern_thumbnails: ({ family }) => patterns.thumbnails(family),
    pattern_at: ({ family, index }) => patterns.point(family, index),
    bring_picture: async (params, buffer) => {
      if (await brought.receive(params, buffer)) work.look("another picture");
      return null;
    },
    brought_picture: async ({ index }) => {
      await brought.again(index);
      work.look("another picture");
      return null;
    },
    cancel_job: async () => {
      work.stop();
      return null;
    },
    go_on: async () => {
      work.goOn();
      return null;
    },
  };
}
