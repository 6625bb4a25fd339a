// A part of the page as a drawing of its own: its pictures, charts, colors and words where they stand,
// without the controls, and without the room that these took. Words stay words: nothing becomes markup.

export interface Figure {
  svg: string;
  width: number;
  height: number;
}

const CONTROLS = `.vaw-field, .vaw-controls, .vaw-panel-tools, .vaw-tools, .vaw-fold, .vaw-aloud,
  .vaw-bring, input, button:not(.vaw-fold-head, .vaw-chip, .vaw-explain, .vaw-small)`;
/** What is kept of the page's style, as the file has none. */
const DRAWN = ["fill", "stroke", "stroke-width", "fill-opacity", "font-size", "font-family"];
const EDGE = 12;
/** The most room between what stands below each other. */
const APART = 14;

interface Part {
  holder: Element;
  top: number;
  bottom: number;
}

type Box = Pick<DOMRect, "left" | "top" | "right" | "bottom">;

const make = (name: string, attributes: Record<string, string | number>) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, `${value}`);
  return element;
};

export function figureOf(root: HTMLElement): Figure {
  const whole = root.getBoundingClientRect();
  const parts: Part[] = [];
  const group = make("g", {});

  const put = (element: Element, { top, bottom }: Box) => {
    const holder = make("g", {});
    holder.append(element);
    group.append(holder);
    parts.push({ holder, top, bottom });
  };
  const placed = ({ left, top, right, bottom }: Box) => ({
    x: left - whole.left,
    y: top - whole.top,
    width: right - left,
    height: bottom - top,
  });
  const ground = (box: Box, style: CSSStyleDeclaration) => {
    const stops = style.backgroundImage.match(/rgba?\([^)]*\)/g) ?? [];
    const outlined = style.outlineStyle !== "none";
    const bordered = style.borderLeftStyle !== "none";
    let fill = /^rgba.*, 0\)$/.test(style.backgroundColor) ? "none" : style.backgroundColor;
    if (stops.length > 0) {
      const id = `colors-${parts.length}`;
      fill = `url(#${id})`;
      const gradient = make("linearGradient", { id });
      stops.forEach((color, i) => {
        gradient.append(make("stop", { offset: i / (stops.length - 1 || 1), "stop-color": color }));
      });
      put(gradient, box);
    }
    const stroke = outlined ? style.outlineColor : bordered ? style.borderLeftColor : "none";
    if (fill === "none" && stroke === "none") return;
    const round = Math.min(Number.parseFloat(style.borderTopLeftRadius) || 0, 8);
    put(make("rect", { ...placed(box), rx: round, fill, stroke }), box);
  };
  const words = (node: Text, style: CSSStyleDeclaration) => {
    const range = document.createRange();
    const lines: { box: DOMRect; text: string }[] = [];
    for (const { 0: word, index } of (node.nodeValue ?? "").matchAll(/\S+\s*/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.trimEnd().length);
      const box = range.getBoundingClientRect();
      const line = lines.at(-1);
      if (line && Math.abs(line.box.top - box.top) < 2) line.text += word;
      else if (box.width > 0) lines.push({ box, text: word });
    }
    const size = Number.parseFloat(style.fontSize);
    for (const { box, text } of lines) {
      const { x, y, height } = placed(box);
      const element = make("text", {
        x,
        y: y + height / 2 + size * 0.35,
        fill: style.color,
        "font-size": size,
        "font-weight": style.fontWeight,
        "font-family": "sans-serif",
      });
      element.textContent = text.trimEnd();
      put(element, box);
    }
  };
  const chart = (drawing: Element, box: Box) => {
    const copy = drawing.cloneNode(true) as Element;
    const theirs = [drawing, ...drawing.querySelectorAll("*")];
    for (const [i, ours] of [copy, ...copy.querySelectorAll("*")].entries()) {
      const style = getComputedStyle(theirs[i] as Element);
      for (const name of DRAWN) ours.setAttribute(name, style.getPropertyValue(name));
    }
    for (const [name, value] of Object.entries(placed(box))) copy.setAttribute(name, `${value}`);
    put(copy, box);
  };
  const walk = (element: Element, within: Box) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const hidden = style.visibility !== "visible" || style.opacity === "0";
    if (hidden || (element !== root && element.matches(CONTROLS))) return;
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const cut = x < within.left || x > within.right || y < within.top || y > within.bottom;
    if (cut && box.width > 0) return; // scrolled out of sight
    if (element instanceof HTMLCanvasElement) {
      put(make("image", { ...placed(box), href: element.toDataURL() }), box);
    } else if (element instanceof SVGElement) chart(element, box);
    else {
      if (element !== root && box.width > 0) ground(box, style);
      const inside = style.overflow === "visible" ? within : box;
      for (const child of element.childNodes) {
        if (child instanceof Element) walk(child, inside);
        else if (child instanceof Text) words(child, style);
      }
    }
  };
  walk(root, whole);

  // Up over the gaps.
  let [shift, reached] = [0, whole.top];
  for (const { holder, top, bottom } of parts.sort((a, b) => a.top - b.top)) {
    shift += Math.max(0, top - reached - APART);
    reached = Math.max(reached, bottom);
    holder.setAttribute("transform", `translate(${EDGE} ${EDGE - shift})`);
  }
  const width = Math.ceil(whole.width) + 2 * EDGE;
  const height = Math.ceil(reached - whole.top - shift) + 2 * EDGE;
  const svg = make("svg", { width, height });
  const page = root.closest(".vaw-root") ?? root;
  svg.append(make("rect", { width, height, fill: getComputedStyle(page).backgroundColor }), group);
  return { svg: new XMLSerializer().serializeToString(svg), width, height };
}
