// Pictures and tables to take home: SVG, PNG and CSV, made in the browser.

/** A drawing on the page as a file of its own: colours no longer depend on the page's theme. */
export function svgFile(drawing: SVGSVGElement): string {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const theirs = [drawing, ...drawing.querySelectorAll<SVGElement>("*")];
  const ours = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  theirs.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const name of ["fill", "stroke"] as const) {
      if (element.tagName !== "g") ours[i]?.setAttribute(name, style.getPropertyValue(name));
    }
    if (element.tagName === "text") {
      ours[i]?.setAttribute("font-size", "12");
      ours[i]?.setAttribute("font-family", "sans-serif");
    }
  });
  for (const text of copy.querySelectorAll("text")) text.removeAttribute("style");
  for (const name of ["tabindex", "role", "data-testid", "class"]) copy.removeAttribute(name);
  const background = document.createElementNS(copy.namespaceURI, "rect");
  const page = drawing.closest(".vaw-root");
  background.setAttribute("width", "100%");
  background.setAttribute("height", "100%");
  background.setAttribute("fill", page ? getComputedStyle(page).backgroundColor : "#ffffff");
  copy.prepend(background);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}

/** A canvas with labels laid over it, as a drawing on the page would be. */
export function labelledCanvas(stage: HTMLElement): SVGSVGElement | null {
  const canvas = stage.querySelector("canvas");
  if (!canvas) return null;
  const box = stage.getBoundingClientRect();
  const svg = (name: string) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const drawing = svg("svg") as SVGSVGElement;
  drawing.setAttribute("width", `${box.width}`);
  drawing.setAttribute("height", `${box.height}`);
  const image = svg("image");
  const place = canvas.getBoundingClientRect();
  image.setAttribute("x", `${place.left - box.left}`);
  image.setAttribute("y", `${place.top - box.top}`);
  image.setAttribute("width", `${place.width}`);
  image.setAttribute("height", `${place.height}`);
  image.setAttribute("href", canvas.toDataURL());
  drawing.append(image);
  for (const label of stage.querySelectorAll<HTMLElement>("span")) {
    if (!label.textContent) continue;
    const at = label.getBoundingClientRect();
    const text = svg("text");
    text.setAttribute("x", `${at.left - box.left + at.width / 2}`);
    text.setAttribute("y", `${at.top - box.top + at.height / 2 + 4}`);
    text.setAttribute("text-anchor", "middle");
    text.setAttribute("style", `fill: ${getComputedStyle(label).color}`);
    text.textContent = label.textContent;
    drawing.append(text);
  }
  stage.append(drawing); // to be styled as what it stands for
  return drawing;
}

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
