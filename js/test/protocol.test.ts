import { describe, expect, it } from "vitest";
import { Requests } from "../src/protocol/requests";
import { decode, type Tensor } from "../src/protocol/safetensors";
import { encode, FakeModel } from "./fake";

describe("safetensors", () => {
  it("reads tensors and metadata from a view with an odd offset", () => {
    const data = new Float32Array([1.5, -2, Number.NaN]);
    const view = encode(
      { a: { shape: [3], data }, b: { shape: [2], data: new Uint8Array([7, 255]) } },
      { layer: "3" },
    );
    expect(view.byteOffset % 4).not.toBe(0);
    const { tensors, metadata } = decode<Record<string, Tensor>, { layer: unknown }>(view);
    expect(Array.from(tensors.a?.data ?? [])).toEqual([1.5, -2, Number.NaN]);
    expect(tensors.b).toEqual({ dtype: "U8", shape: [2], data: new Uint8Array([7, 255]) });
    expect(metadata.layer).toBe("3");
  });

  it("widens half precision", () => {
    const bits = new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555]);
    const view = encode({ a: { shape: [10], data: new Uint8Array(bits.buffer) } });
    const text = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset));
    const header = text.slice(8, text.indexOf("}}") + 2);
    const half = header.replace('"U8"', '"F16"').replace("[10]", "[5]");
    const bytes = new Uint8Array(8 + half.length + 10);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(half.length), true);
    bytes.set(new TextEncoder().encode(half), 8);
    bytes.set(new Uint8Array(bits.buffer), 8 + half.length);
    const halves = Array.from(
      decode<Record<string, Tensor>, unknown>(new DataView(bytes.buffer)).tensors.a?.data ?? [],
    );
    expect(halves.slice(0, 4)).toEqual([1, -2, Math.fround(2 ** -24), Number.POSITIVE_INFINITY]);
    expect(halves[4]).toBeCloseTo(1 / 3, 3);
  });

  it("says which type it does not know", () => {
    const view = encode({ a: { shape: [4], data: new Uint8Array(4) } });
    const bytes = new Uint8Array(view.buffer);
    const at = new TextDecoder("latin1").decode(bytes).indexOf('"U8"');
    bytes[at + 1] = "I".charCodeAt(0);
    expect(() => decode<Record<string, Tensor>, { layer: unknown }>(view)).toThrow("type I8");
  });
});

describe("requests", () => {
  const made = () => {
    const model = new FakeModel();
    model.answers = false;
    const abort = new AbortController();
    return { model, abort, requests: new Requests(model, abort.signal) };
  };

  it("gives each its own answer", async () => {
    const { model, requests } = made();
    const [first, second] = [requests.ask("attention", { layer: 0 }), requests.ask("strength", {})];
    const [a, b] = model.sent.map((message) => message.id);
    model.emit("msg:custom", { id: b, ok: true, meta: { version: 9 } }, []);
    model.emit("msg:custom", { id: a, error: { message: "no" } }, []);
    expect((await second).meta.version).toBe(9);
    await expect(first).rejects.toThrow("no");
  });

  it("tells the kernel what is no longer wanted", async () => {
    const { model, requests } = made();
    const stop = new AbortController();
    const asked = requests.ask("attention", { layer: 0 }, stop.signal);
    stop.abort();
    await expect(asked).rejects.toThrow("No longer wanted");
    expect(model.sent[1]).toEqual({ cancel: model.sent[0]?.id });
  });

  it("gives up when the widget is closed", async () => {
    const { model, abort, requests } = made();
    const asked = requests.ask("attention", { layer: 0 });
    abort.abort();
    await expect(asked).rejects.toThrow("closed");
    expect(model.listening).toBe(0);
  });
});
