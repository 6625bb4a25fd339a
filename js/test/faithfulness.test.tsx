import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import type { MapScores } from "../src/protocol/schema";
import { best, scoresShown, verdict } from "../src/state/faithfulness";
import type { Store } from "../src/state/store";
import { CompareMaps } from "../src/views/compare/compare_maps";
import { Faithful } from "../src/views/layers/faithfulness";
import { Shell } from "../src/views/shell/shell";
import { encode, STATE, settle } from "./fake";
import { find, root, showView } from "./show";

const SCORES: MapScores = {
  method: "daam",
  layer: 1,
  target: "star",
  by_class: true,
  version: 1,
  fractions: [0, 0.5, 1],
  insertion: { map: [0.1, 0.8, 0.9], center: [0.1, 0.5, 0.9], random: [0.1, 0.4, 0.9] },
  deletion: { map: [0.9, 0.2, 0.1], center: [0.9, 0.3, 0.1], random: [0.9, 0.5, 0.1] },
  areas: { map: [0.65, 0.35], center: [0.5, 0.4], random: [0.45, 0.5] },
};

const act_ = (change: () => void) =>
  act(async () => {
    change();
    await settle();
  });
const methods = (sent: Record<string, unknown>[]) =>
  sent.map(({ method }) => method).filter((method) => method !== "attention");

describe("scores in words", () => {
  it("say whether the map beats what knows nothing", () => {
    const center = [0.5, 0.4] as const;
    const says = (insertion: number, deletion: number) =>
      verdict({ map: [insertion, deletion], center, random: [0.4, 0.5] });
    expect(says(0.6, 0.3)).toContain("By both curves");
    expect(says(0.6, 0.4)).toContain("when patches are shown, not when hidden");
    expect(says(0.5, 0.3)).toContain("when patches are hidden, not when shown");
    expect(says(0.45, 0.45)).toContain("do not lean on it");
  });

  it("name the best of several maps, as far as they are known", () => {
    const areas = [
      { map: [0.5, 0.5], center: [0.4, 0.6] },
      { map: [0.7, 0.6], center: [0.5, 0.6] },
      { map: [0.9, 0.1], center: [0.9, 0.1] }, // of another class, and no better than the center
      null,
    ] as const;
    expect(best({ stamp: 1, areas: [...areas] })).toEqual([1, 0]);
    expect(best({ stamp: 1, areas: [null] })).toEqual([-1, -1]);
  });
});

describe("the map that is shown", () => {
  it("is scored when asked, and the curves stand beside center and random", async () => {
    const { model } = await showView(Faithful, { faithfulness: {} });
    await act_(() => find("score-map")?.click());
    expect(methods(model.sent)).toEqual(["score_map"]);
    await act_(() => model.kernel("faithfulness", { asked: "map" }));
    expect(find("score-map")?.getAttribute("aria-disabled")).toBe("true");
    await act_(() => find("score-map")?.click()); // once is enough
    await act_(() => find("score-cancel")?.click());
    expect(methods(model.sent)).toEqual(["score_map", "cancel_scores"]);
    await act_(() => model.kernel("faithfulness", { asked: "", map: SCORES }));
    expect(find("faithful-says")?.textContent).toContain("By both curves");
    const charts = [...root.querySelectorAll("svg")].map((svg) => svg.getAttribute("aria-label"));
    expect(charts).toEqual([
      "insertion: random 0.45, center 0.50, this map 0.65",
      "deletion: random 0.50, center 0.40, this map 0.35",
    ]);
    expect(root.querySelectorAll("polyline")).toHaveLength(6);
  });

  it("is asked for again when it is another one", async () => {
    const { store } = await showView(Faithful, { faithfulness: { map: SCORES } });
    expect(scoresShown(store.traits)).toBe(SCORES);
    await act_(() => store.set({ selected_layer: 0 }));
    expect(find("faithful-says")).toBeNull();
    expect(find("score-map")).not.toBeNull();
  });
});

describe("compared maps", () => {
  const comparison = {
    of: "methods",
    method: "daam",
    classes: [],
    asked: "",
    names: ["daam", "rollout"],
    keys: ["daam", "rollout"],
    notes: ["", ""],
    files: [],
    correlation: [
      [1, 0.5],
      [0.5, 1],
    ],
    skipped: {},
    target: "star",
    total: 2,
    version: 1,
    stamp: 4,
  };
  const maps = encode(
    { maps: { shape: [2, 2, 3], data: new Float32Array(12).fill(1) } },
    { stamp: "4" },
  );

  it("are scored when asked, one after another", async () => {
    const { model } = await showView(CompareMaps, {
      _comparison: comparison,
      _comparison_maps: maps,
    });
    await act_(() => find("score-compared")?.click());
    expect(methods(model.sent)).toContain("score_compared");
    const first = { map: [0.6, 0.3], center: [0.5, 0.4], random: [0.4, 0.5] };
    await act_(() =>
      model.kernel("faithfulness", {
        asked: "compared",
        compared: { stamp: 4, areas: [first, null] },
      }),
    );
    expect(find("scores-0")?.textContent).toBe("ins. 0.60del. 0.30");
    expect(find("scores-1")?.textContent).toBe("ins. –del. –");
    const second = { ...first, map: [0.7, 0.35] };
    await act_(() =>
      model.kernel("faithfulness", { asked: "", compared: { stamp: 4, areas: [first, second] } }),
    );
    expect(find("scores-say")?.textContent).toContain(
      "By insertion rollout is furthest ahead of the center of the picture (0.70 to 0.50).",
    );
    expect(find("scores-say")?.textContent).toContain("By deletion DAAM is furthest ahead");
    expect(find("scores-1")?.querySelector("b")?.textContent).toBe("0.70");
    expect(find("score-compared")).toBeNull();
  });

  it("may all be behind the center of the picture", async () => {
    const areas = [
      { map: [0.3, 0.5], center: [0.5, 0.4] },
      { map: [0.4, 0.4], center: [0.5, 0.4] },
    ];
    await showView(CompareMaps, {
      _comparison: comparison,
      _comparison_maps: maps,
      faithfulness: { compared: { stamp: 4, areas } },
    });
    const text = find("scores-say")?.textContent;
    expect(text).toContain("By insertion no map is ahead of the center of the picture; rollout");
    expect(text).toContain("comes nearest (0.40 to 0.50)");
  });

  it("do not take the scores of other maps", async () => {
    const areas = [{ map: [0.6, 0.3] }, { map: [0.6, 0.3] }];
    await showView(CompareMaps, {
      _comparison: comparison,
      _comparison_maps: maps,
      faithfulness: { compared: { stamp: 3, areas } },
    });
    expect(find("scores-0")).toBeNull();
  });
});

describe("prompts", () => {
  const Widget = ({ store }: { store: Store }) => (
    <Shell store={store} title="widget">
      views
    </Shell>
  );
  const info = { ...(STATE._model_info as object), takes_prompts: true };
  const asked = (sent: Record<string, unknown>[]) =>
    sent.filter(({ method }) => method === "prompts").map(({ params }) => params);
  const type = (text: string) =>
    act_(() => {
      const input = find("add-prompt") as HTMLInputElement;
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  const enter = () =>
    act_(() =>
      find("add-prompt")?.dispatchEvent(
        new KeyboardEvent("keydown", { key: "Enter", bubbles: true }),
      ),
    );

  it("are typed, explained and taken away", async () => {
    const { model, store } = await showView(Widget, { _model_info: info });
    await type("a <b>moon</b>");
    await enter();
    await type("star"); // it is there
    await enter();
    await act_(() => find("prompt-away-0")?.click());
    expect(asked(model.sent)).toEqual([
      { prompts: ["heart", "star", "starfish", "a <b>moon</b>"] },
      { prompts: ["star", "starfish", "a <b>moon</b>"] },
    ]);
    await act_(() =>
      model.kernel("_model_info", { ...info, class_names: ["star", "starfish", "a <b>moon</b>"] }),
    );
    await act_(() => find("prompt-2")?.click());
    expect(store.traits.target.value).toBe(2);
    expect(find("prompt-2")?.getAttribute("aria-pressed")).toBe("true");
  });

  it("say what went wrong, but not that the answer was overtaken", async () => {
    const { model } = await showView(Widget, { _model_info: info });
    const last = () => model.sent.filter(({ method }) => method === "prompts").at(-1)?.id;
    await type("a moon");
    await enter();
    await act_(() => model.emit("msg:custom", { id: last(), cancelled: true }, []));
    expect(root.querySelector("[role=alert]")).toBeNull();
    await type("a sun");
    await enter();
    const error = { message: "no text tower", hint: "" };
    await act_(() => model.emit("msg:custom", { id: last(), error }, []));
    expect(root.querySelector("[role=alert]")?.textContent).toBe("no text tower");
  });

  it("can be the first of a tower without classes", async () => {
    const tower = { ...info, num_classes: 0, class_names: null };
    const { model } = await showView(Widget, { _model_info: tower, decision: {} });
    await type("a star");
    await enter();
    expect(asked(model.sent)).toEqual([{ prompts: ["a star"] }]);
  });

  it("are not asked of a model with classes", async () => {
    await showView(Widget);
    expect(find("add-prompt")).toBeNull();
  });
});
