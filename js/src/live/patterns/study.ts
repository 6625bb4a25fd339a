// The patterns of attention that heads have learned, as in
// `vit_attention_widget/session/studies/patterns.py`. The map was learned in Python, over the scenes.

import { read } from "../../page/encoding";
import { type Decoded, decode, type Tensor } from "../../protocol/safetensors";
import type { PatternPictures, PatternsHere } from "../../protocol/schema";
import { at } from "../numbers";
import type { LiveSession } from "../session";
import { bytes, encode, floats, quantized } from "../tensors";
import { decoded, encoded, type Weights } from "./autoencoder";
import { placed } from "./place";
import { type FamilyName, GRID, pooled } from "./pooled";

/** What `live/patterns.py` writes, by family. */
type File = Record<FamilyName, { map: DataView; learned: DataView }>;

interface Family {
  map: DataView;
  weights: Weights;
  codes: Float32Array;
  points: Float32Array;
  labels: Uint8Array;
}

const NAMES = ["patches", "class"] as const;

export class Patterns {
  private families: Promise<Record<FamilyName, Family>> | null = null;

  constructor(
    private readonly session: LiveSession,
    private readonly address: URL,
  ) {}

  /** Where the heads of what is shown lie on the maps. */
  async place(): Promise<DataView> {
    const families = await this.read();
    const trace = await this.session.ready(); // last: meanwhile another picture may be shown
    const tensors: PatternsHere = {};
    for (const name of NAMES) {
      const family = families[name];
      const here = pooled(trace, name).map((vector) =>
        placed(family, encoded(family.weights, vector)),
      );
      const points = here.flatMap(({ x, y }) => [x, y]);
      tensors[`${name}_points`] = floats([here.length, 2], points);
      tensors[`${name}_labels`] = bytes(
        [here.length],
        Uint8Array.from(here, ({ label }) => label),
      );
    }
    return encode(tensors);
  }

  async map(family: FamilyName): Promise<DataView> {
    return (await this.read())[family].map;
  }

  /** Attention of every head on what is shown, as pictures. */
  async thumbnails(family: FamilyName): Promise<DataView> {
    return encode(pictures(pooled(await this.session.ready(), family), family));
  }

  /** The pattern that a point stands for, as a picture. */
  async point(family: FamilyName, index: number): Promise<DataView> {
    const { weights, codes, labels } = (await this.read())[family];
    const dim = codes.length / labels.length;
    const code = codes.subarray(index * dim, (index + 1) * dim);
    return encode(pictures([decoded(weights, code)], family));
  }

  private read(): Promise<Record<FamilyName, Family>> {
    this.families ??= this.fetched();
    this.families.catch(() => {
      this.families = null;
    });
    return this.families;
  }

  private async fetched(): Promise<Record<FamilyName, Family>> {
    const answer = await fetch(this.address);
    if (!answer.ok) throw new Error(`The map of patterns could not be loaded: ${answer.status}.`);
    const file = await read<File>(await answer.text());
    return { patches: familyOf(file.patches), class: familyOf(file.class) };
  }
}

function familyOf({ map, learned }: File[FamilyName]): Family {
  const { tensors } = decode(learned as never) as Decoded<Record<string, Tensor>>;
  const { codes, points, labels, ...weights } = tensors as unknown as Weights & {
    codes: Tensor<Float32Array>;
    points: Tensor<Float32Array>;
    labels: Tensor<Uint8Array>;
  };
  return { map, weights, codes: codes.data, points: points.data, labels: labels.data };
}

/** Vectors as pictures in bytes, each square part relative to its own maximum. */
function pictures(vectors: ArrayLike<number>[], family: FamilyName): PatternPictures {
  const cells = GRID[family] ** 2;
  // Among patches a square of cells; of the class token two squares side by side.
  const [side, parts] = family === "patches" ? [cells, 1] : [GRID.class, 2];
  const count = vectors.length;
  const data = new Uint8Array(count * side * side * parts);
  vectors.forEach((vector, v) => {
    const attention = Float32Array.from({ length: side * side * parts }, (_, i) => {
      return Math.min(1, Math.max(0, at(vector, i))) ** 2;
    });
    const levels = quantized(attention, side * side).data;
    levels.forEach((level, i) => {
      const [part, place] = [Math.floor(i / (side * side)), i % (side * side)];
      const [row, col] = [Math.floor(place / side), place % side];
      data[((v * side + row) * parts + part) * side + col] = level;
    });
  });
  return { pictures: bytes([count, side, side * parts], data) };
}
