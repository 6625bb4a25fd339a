import { describe, expect, it } from "vitest";
import { boxOfPatch, boxOfPatches, boxOfPicture, patchAt } from "../src/draw/area";
import type { ModelInfo } from "../src/protocol/schema";
import { STATE } from "./fake";

/** 3 x 4 patches of 8 pixels over a picture of 22 x 30 that is padded by 1 above and at the left. */
const INFO: ModelInfo = {
  ...(STATE._model_info as ModelInfo),
  rows: 3,
  cols: 4,
  image_height: 22,
  image_width: 30,
  area: [-1 / 22, -1 / 30, 23 / 22, 31 / 30],
};

describe("patches of a picture that the model pads", () => {
  it("lie where the model takes them from, in every size", () => {
    const all = boxOfPatches(INFO.area, 30, 22);
    expect([all.x, all.y, all.width, all.height].map(Math.round)).toEqual([-1, -1, 32, 24]);
    const box = boxOfPatch(INFO, 5, 60, 44);
    expect([box.x, box.y, box.width, box.height].map(Math.round)).toEqual([14, 14, 16, 16]);
  });

  it("have the picture where it lies among them", () => {
    const { x, y, width, height } = boxOfPicture(INFO.area, 320, 240);
    expect([x, y, width, height].map(Math.round)).toEqual([10, 10, 300, 220]);
  });

  it("are found below the pointer, and at the edge beyond them", () => {
    expect(patchAt(INFO, 6.9 / 30, 6.9 / 22)).toEqual({ row: 0, col: 0 });
    expect(patchAt(INFO, 7.1 / 30, 7.1 / 22)).toEqual({ row: 1, col: 1 });
    const cut = { ...INFO, area: [0, 0, 0.8, 0.8] };
    expect(patchAt(cut, 0.99, 0.99)).toEqual({ row: 2, col: 3 });
  });
});
