// Files to take home: PNG of a drawing, CSV of numbers, and the way onto the disk.

/** An SVG file as a picture, twice as fine as on the page. */
export async function pngOf(svg: string, width: number, height: number): Promise<Blob | null> {
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    await new Promise((done, failed) => {
      image.onload = done;
      image.onerror = failed;
      image.src = url;
    });
    const canvas = document.createElement("canvas");
    canvas.width = 2 * width;
    canvas.height = 2 * height;
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done));
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * Rows as a table; text is quoted, so that no cell can break out of its own, and begins with an
 * apostrophe where a spreadsheet would take it for a formula.
 */
export function csv(header: string[], rows: (string | number)[][]): string {
  const cell = (value: string | number) =>
    typeof value === "number"
      ? String(value)
      : `"${value.replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}

const TYPES: Record<string, string> = {
  png: "image/png",
  svg: "image/svg+xml",
  csv: "text/csv",
  html: "text/html",
};

export function download(name: string, data: Blob | string): void {
  const type = TYPES[name.split(".").at(-1) ?? ""] ?? "";
  const url = URL.createObjectURL(new Blob([data], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.hidden = true;
  document.body.append(link); // some hosts listen for clicks there
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
