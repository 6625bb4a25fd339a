// How a page holds what was computed: parts, each gzip bytes in base64. In a part a JSON text stands
// before the bytes that it speaks of: `{"$bytes": [from, to]}` is a stretch of them.

/** The bytes that a text of the page stands for. */
export async function inflated(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** Bytes as a text of the page. */
export async function deflated(plain: Uint8Array<ArrayBuffer>): Promise<string> {
  const packed = new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return btoa(text);
}

/** The value of a part, with a view of its bytes wherever these stood. */
export async function read<T>(base64: string): Promise<T> {
  const all = await inflated(base64);
  const length = new DataView(all.buffer).getUint32(0, true);
  const start = 4 + length;
  const text = new TextDecoder().decode(all.subarray(4, start));
  return JSON.parse(text, (_, value) => {
    const stretch = value?.$bytes as [number, number] | undefined;
    return stretch ? new DataView(all.buffer, start + stretch[0], stretch[1] - stretch[0]) : value;
  });
}
