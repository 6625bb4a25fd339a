// One's own picture: chosen, dropped or pasted, sent in parts; the strip; and what the host hears.

import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { bring, bringingOf } from "../src/state/own_pictures";
import { Inspector } from "../src/views/inspector/inspector";
import { encode, type FakeModel, STATE, settle } from "./fake";
import { TRAITS } from "./fixtures/session";
import { find, root, showView } from "./show";

const MEGABYTE = 1_000_000;

/** A file of so many bytes, as slices of which buffers are made. */
function fileOf(size: number, name = "cat.png", type = "image/png"): File {
  const file = new File([], name, { type });
  Object.defineProperty(file, "size", { value: size });
  file.slice = (from = 0, to = size) =>
    ({ arrayBuffer: async () => new ArrayBuffer(Math.min(to, size) - from) }) as Blob;
  return file;
}

const parts = ({ sent }: FakeModel) => sent.filter(({ method }) => method === "bring_picture");

async function reply(model: FakeModel, content: object): Promise<void> {
  await act(async () => {
    model.emit("msg:custom", { id: parts(model).at(-1)?.id, ...content }, []);
    await settle();
  });
}

const answer = (model: FakeModel) => reply(model, { ok: true, meta: { version: 1 } });

/** An event with files, and whether the host would hear it. */
async function give(kind: string, files: File[], on: Element): Promise<[Event, boolean]> {
  const event = new Event(kind, { bubbles: true, cancelable: true, composed: true });
  const transfer = { files, types: files.length > 0 ? ["Files"] : [] };
  Object.assign(event, { dataTransfer: transfer, clipboardData: transfer });
  let heard = false;
  const listen = () => {
    heard = true;
  };
  document.body.addEventListener(kind, listen);
  await act(async () => {
    on.dispatchEvent(event);
    await settle();
  });
  document.body.removeEventListener(kind, listen);
  return [event, heard];
}

describe("one's own picture", () => {
  it("goes to the kernel in parts, one after the other, with its progress", async () => {
    const { model, store } = await showView(Inspector);
    const done = bring(store, fileOf(9 * MEGABYTE));
    await act(settle);
    expect(parts(model)).toHaveLength(1);
    expect(parts(model)[0]?.params).toMatchObject({ name: "cat.png", part: 0, parts: 3 });
    expect(root.textContent).toContain("sending the picture, 0 %");
    await answer(model);
    expect(root.textContent).toContain("sending the picture, 33 %");
    await answer(model);
    await answer(model);
    await act(() => done);
    const buffers = model.buffers.map((buffer) => buffer.byteLength);
    expect(buffers).toEqual([4 * MEGABYTE, 4 * MEGABYTE, MEGABYTE]);
    expect(
      new Set(parts(model).map(({ params }) => (params as { upload: string }).upload)).size,
    ).toBe(1);
    expect(root.textContent).not.toContain("sending");
    expect(find("bring")).not.toBeNull();
  });

  it("says in a sentence why it was refused, and text stays text", async () => {
    const { model, store } = await showView(Inspector);
    bring(store, fileOf(10));
    await act(settle);
    await reply(model, { error: { message: "<b>bold</b> is not a picture." } });
    expect(find("bring-problem").textContent).toBe("<b>bold</b> is not a picture.");
    await act(() => bring(store, fileOf(65 * MEGABYTE, "large.tif")));
    expect(find("bring-problem").textContent).toBe("large.tif has 65 MB: at most 64 MB are taken.");
    await act(() => bring(store, fileOf(0, "none.png")));
    expect(find("bring-problem").textContent).toBe("none.png is empty.");
    expect(parts(model)).toHaveLength(1);
  });

  it("can be stopped, and a new one takes its place", async () => {
    const { model, store } = await showView(Inspector);
    bring(store, fileOf(9 * MEGABYTE, "first.png"));
    await act(settle);
    await act(async () => {
      find("bring-stop").click();
      await settle();
    });
    expect(model.sent.at(-1)).toHaveProperty("cancel");
    expect(bringingOf(store).problem.value).toBe("");
    expect(bringingOf(store).progress.value).toBeNull();
    bring(store, fileOf(9 * MEGABYTE, "second.png"));
    await act(settle);
    bring(store, fileOf(10, "third.png"));
    await act(settle);
    await answer(model);
    expect(bringingOf(store).progress.value).toBeNull();
    const names = parts(model).map(({ params }) => (params as { name: string }).name);
    expect(names).toEqual(["first.png", "second.png", "third.png"]);
  });

  it("is dropped or pasted, and the host hears nothing of it", async () => {
    const { model } = await showView(Inspector);
    const picture = root.querySelector(".vaw-own") as HTMLElement;
    const [over, heardOver] = await give("dragover", [fileOf(10)], picture);
    expect([over.defaultPrevented, heardOver]).toEqual([true, false]);
    const [drop, heardDrop] = await give("drop", [fileOf(10)], picture);
    expect([drop.defaultPrevented, heardDrop]).toEqual([true, false]);
    expect(parts(model)).toHaveLength(1);
    const [paste, heardPaste] = await give("paste", [fileOf(10)], picture);
    expect([paste.defaultPrevented, heardPaste]).toEqual([true, false]);
    expect(parts(model)).toHaveLength(2);
    const [text, heardText] = await give("paste", [], picture);
    expect([text.defaultPrevented, heardText]).toEqual([false, false]);
    const [cell, heardCell] = await give("drop", [], picture);
    expect([cell.defaultPrevented, heardCell]).toEqual([false, true]); // not ours
    await give("drop", [fileOf(10, "a.txt", "text/plain")], picture);
    expect(find("bring-problem").textContent).toContain("is no picture");
    expect(parts(model)).toHaveLength(2);
  });

  it("is not offered without a kernel", async () => {
    const gone = { widget_manager: { kernel: null } };
    const { model, store } = await showView(Inspector);
    Object.assign(model, gone);
    await act(() => store.set({ selected_layer: 0 }));
    expect(find("bring")).toBeNull();
  });
});

const small = (count: number) =>
  encode({ thumbnails: { shape: [count, 2, 2, 3], data: new Uint8Array(count * 12) } });

describe("the strip of pictures", () => {
  it("is not there for one picture alone", async () => {
    await showView(Inspector, { _brought_thumbnails: small(1) });
    expect(root.querySelector(".vaw-strip")).toBeNull();
  });

  it("goes back to what was brought, and opens images of the set", async () => {
    const { model } = await showView(Inspector, {
      _model_info: { ...(STATE._model_info as object), set_size: 3 },
      _brought: { names: ["scene", "<i>cat</i>.png"], shown: 1 },
      _brought_thumbnails: small(2),
      _thumbnails: small(3),
    });
    expect(find("own-1").getAttribute("aria-pressed")).toBe("true");
    expect(find("own-1").dataset.tip).toBe("<i>cat</i>.png");
    await act(() => find("own-0").click());
    expect(model.sent.at(-1)).toMatchObject({ method: "brought_picture", params: { index: 0 } });
    await act(() => find("set-2").click());
    expect(model.values.selected_image).toBe(2);
    expect(find("set-2").getAttribute("aria-pressed")).toBe("true");
  });

  it("asks for the pictures of the set", async () => {
    const info = { ...(STATE._model_info as object), set_size: 3 };
    const { model } = await showView(Inspector, { _model_info: info });
    expect(model.sent.map(({ method }) => method)).toContain("images");
  });

  it("reads what a session sends", async () => {
    await showView(Inspector, { ...TRAITS });
    expect(root.querySelectorAll(".vaw-thumb canvas")).toHaveLength(4);
  });
});
