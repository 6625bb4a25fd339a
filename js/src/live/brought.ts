// Pictures that a visitor brings along or draws, as in `session/brought.py`.

import type { BringParams } from "../protocol/schema";
import { ownPicture, type Picture, thumbnails } from "./pictures";
import type { LiveSession } from "./session";
import { encode } from "./tensors";

const KEPT = 12;

export class Brought {
  private pictures: (Picture & { upload: string })[] = [];
  private parts: ArrayBuffer[] = [];

  constructor(private readonly session: LiveSession) {}

  /**
   * Takes a part of a file; whether the picture is there, and looked at. What is brought again under
   * the same `upload`, as a drawing stroke by stroke, takes the place of what it was.
   */
  async receive(
    { upload, name, part, parts }: BringParams,
    buffer?: ArrayBuffer,
  ): Promise<boolean> {
    if (part === 0) this.parts = [];
    if (buffer) this.parts.push(buffer);
    if (part < parts - 1) return false;
    const picture = await ownPicture(this.session.scenes, name, new Blob(this.parts));
    this.parts = [];
    const others = this.pictures.filter((each) => each.upload !== upload);
    this.pictures = [...others, { ...picture, upload }].slice(-KEPT);
    await this.show(this.pictures.length - 1);
    return true;
  }

  get any(): boolean {
    return this.pictures.length > 0;
  }

  /** Shows one of the pictures again, by default the last. */
  async again(index = this.pictures.length - 1): Promise<void> {
    if (!this.pictures[index]) throw new Error(`There is no picture ${index}.`);
    await this.show(index);
  }

  /** What the page is told of them, and which one is shown; -1 is none. */
  told(shown: number) {
    return {
      _brought: { names: this.pictures.map(({ name }) => name), shown },
      _brought_thumbnails: encode(thumbnails(this.pictures)),
    };
  }

  private show(index: number): Promise<void> {
    return this.session.turnTo(this.pictures[index] as Picture, {
      selected_image: -1,
      ...this.told(index),
    });
  }
}
