// Which picture is shown where one is turned to before the last has come.

import { describe, expect, it, vi } from "vitest";
import { LiveSession } from "../../src/live/session";

const drawing = vi.hoisted(() => ({ done: new Map<string, (file: DataView) => void>() }));

vi.mock("../../src/live/pictures", () => ({
  png: ({ name }: { name: string }) =>
    new Promise((resolve) => {
      drawing.done.set(name, resolve);
    }),
}));

describe("turning to a picture", () => {
  it("shows the last one, whichever is drawn first", async () => {
    const told: object[] = [];
    const session = new LiveSession(
      { _model_info: {} } as never,
      {} as never,
      {} as never,
      {} as never,
      {} as never,
      (changes) => told.push(changes),
      { name: "first" } as never,
    );
    const [heart, star] = [new DataView(new ArrayBuffer(1)), new DataView(new ArrayBuffer(2))];
    const turns = ["heart", "star"].map((name) => session.turnTo({ name } as never, {}));
    drawing.done.get("star")?.(star);
    await turns[1];
    drawing.done.get("heart")?.(heart);
    await turns[0];
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ _picture: star, _model_info: { image_name: "star" } });
  });
});
