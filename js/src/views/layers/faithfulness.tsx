// Is the map faithful? Show and hide patches in its order, and see what becomes of the class.

import { linear } from "../../draw/scale";
import type { MapScores } from "../../protocol/schema";
import { CURVE_HINTS, CURVES, score, scoresShown, verdict } from "../../state/faithfulness";
import type { Store } from "../../state/store";
import { BOTTOM, LEFT, numbered, RIGHT, TOP, XAxis, YAxis } from "../../ui/axes";
import { ScoreButton } from "../../ui/score_button";
import { explained } from "../../ui/tips";

const WIDTH = 250;
const HEIGHT = 150;
const LINES = [
  { key: "random", label: "random", stroke: "var(--vaw-muted)", dash: "1 4" },
  { key: "center", label: "center", stroke: "var(--vaw-muted)", dash: "6 3" },
  { key: "map", label: "this map", stroke: "var(--vaw-accent)", dash: "" },
];

function Curves({ scores, curve }: { scores: MapScores; curve: (typeof CURVES)[number] }) {
  const x = linear(0, 1, LEFT, WIDTH - RIGHT, 2);
  const all = CURVES.flatMap((each) => Object.values(scores[each]).flat());
  const [low, high] = scores.by_class ? [0, 1] : [Math.min(...all), Math.max(...all)];
  const y = linear(low, high, HEIGHT - BOTTOM, TOP, 2);
  const points = (values: number[]) =>
    values.map((value, i) => `${x.at(scores.fractions[i] ?? 0)},${y.at(value)}`).join(" ");
  const column = CURVES.indexOf(curve);
  const said = LINES.map(({ key, label }) => `${label} ${score(scores.areas[key]?.[column])}`);
  return (
    <figure class="vaw-faithful-curve">
      <figcaption {...explained(CURVE_HINTS[curve])}>
        {curve}: <b>{score(scores.areas.map?.[column])}</b>{" "}
        <span class="vaw-muted">
          center {score(scores.areas.center?.[column])}, random{" "}
          {score(scores.areas.random?.[column])}
        </span>
      </figcaption>
      <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`${curve}: ${said.join(", ")}`}>
        <YAxis y={y} width={WIDTH} />
        <XAxis
          labels={numbered(x)}
          title={curve === "insertion" ? "share of patches shown" : "share of patches hidden"}
          width={WIDTH}
          height={HEIGHT}
        />
        {LINES.map(({ key, label, stroke, dash }) => (
          <polyline
            key={key}
            points={points(scores[curve][key] ?? [])}
            fill="none"
            stroke={stroke}
            stroke-width={key === "map" ? 2 : 1.4}
            stroke-dasharray={dash}
          >
            <title>{label}</title>
          </polyline>
        ))}
      </svg>
    </figure>
  );
}

export function Faithful({ store }: { store: Store }) {
  const scores = scoresShown(store.traits);
  const asked = store.traits.faithfulness.value.asked === "map";
  return (
    <section class="vaw-faithful" aria-label="how faithful the map is" aria-busy={asked}>
      {scores ? (
        <>
          <p role="status" data-testid="faithful-says">
            {verdict(scores.areas)}
          </p>
          <div class="vaw-row">
            {CURVES.map((curve) => (
              <Curves key={curve} scores={scores} curve={curve} />
            ))}
          </div>
          <p class="vaw-muted">
            {scores.by_class ? "Probability of " : ""}
            {scores.target}, — this map, - - the center of the picture, ··· a random map. One
            picture says little: vaw.evaluate() measures many.
          </p>
        </>
      ) : (
        <ScoreButton
          store={store}
          method="score_map"
          label="is this map faithful?"
          meanwhile="scoring the map"
          busy={asked}
          hint="Show and hide patches in the map's order, and see what becomes of the class: about 60 pictures are run"
          testid="score-map"
        />
      )}
    </section>
  );
}
