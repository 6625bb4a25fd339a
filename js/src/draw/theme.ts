// The colors of the page's theme, for what is painted.

/** As in ui/base.css, for a page without its sheet. */
const USUAL = {
  bg: "#ffffff",
  fg: "#1f2328",
  muted: "#5b6470",
  line: "#d8dde3",
  accent: "#2563eb",
  hurts: "#c2570c",
  helps: "#3b78d8",
  other: "#8b929b",
};

export type ThemeColor = keyof typeof USUAL | `class-${number}`;

/** The theme where a canvas stands; to be read anew for each painting, as a page may change it. */
export function themeOf(canvas: HTMLCanvasElement): (name: ThemeColor) => string {
  const style = getComputedStyle(canvas);
  const colors = new Map<ThemeColor, string>();
  return (name) => {
    const usual = name in USUAL ? USUAL[name as keyof typeof USUAL] : USUAL.other;
    const color = colors.get(name) ?? (style.getPropertyValue(`--vaw-${name}`).trim() || usual);
    colors.set(name, color);
    return color;
  };
}
