// Which of the compared maps is faithful: insertion and deletion of each, when asked for.

import type { ComparedScores, Comparison, ModelInfo } from "../../protocol/schema";
import { nameOf } from "../../state/comparison";
import { best, CURVE_HINTS, CURVES, lead, score } from "../../state/faithfulness";
import type { Store } from "../../state/store";
import { ScoreButton } from "../../ui/score_button";

interface Props {
  store: Store;
  info: ModelInfo;
  comparison: Comparison;
  scores: ComparedScores | null;
}

/** "By insertion DAAM is furthest ahead of the center of the picture (0.83 to 0.75)." */
function said({ info, comparison }: Props, scores: ComparedScores): string[] {
  const first = best(scores);
  return CURVES.map((curve, i) => {
    const item = first[i] ?? -1;
    if (item < 0) return "";
    const areas = scores.areas[item];
    const [name, center] = [nameOf(info, comparison, item), "the center of the picture"];
    const values = `(${score(areas?.map?.[i])} to ${score(areas?.center?.[i])})`;
    return lead(areas, i) > 0
      ? `By ${curve} ${name} is furthest ahead of ${center} ${values}.`
      : `By ${curve} no map is ahead of ${center}; ${name} comes nearest ${values}.`;
  });
}

export function CompareScores(props: Props) {
  const { store, scores } = props;
  const asked = store.traits.faithfulness.value.asked === "compared";
  const done = scores?.areas.every((areas) => areas !== null) ?? false;
  return (
    <section class="vaw-faithful" aria-label="how faithful the maps are" aria-busy={asked}>
      {!done && (
        <ScoreButton
          store={store}
          method="score_compared"
          label="which map is faithful?"
          meanwhile="scoring the maps"
          busy={asked}
          hint={`${CURVE_HINTS.insertion} ${CURVE_HINTS.deletion}`}
          testid="score-compared"
        />
      )}
      {scores && (
        <p role="status" data-testid="scores-say">
          {said(props, scores).join(" ")}{" "}
          <span class="vaw-muted">
            Patches are shown (insertion: high is good) or hidden (deletion: low is good) in a map's
            order. One picture says little: vaw.evaluate() measures many.
          </span>
        </p>
      )}
    </section>
  );
}
