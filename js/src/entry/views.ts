// The views of one store. A host that draws its output anew takes the former view out without a word:
// it is closed here, or it would be drawn with every change.

/** By then a host has placed a new view, and, later, put it in the place of a former one. */
const [PLACED_MS, REPLACED_MS] = [200, 1000];

interface View {
  el: HTMLElement;
  close: () => void;
  /** Whether it ever stood anywhere: one that is hidden may still be placed. */
  placed: boolean;
}

export class Views {
  private readonly open = new Set<View>();

  /** A view that was drawn into `el`; the returned function says that it was closed. */
  add(el: HTMLElement, close: () => void): () => void {
    const view: View = { el, close, placed: false };
    this.open.add(view);
    const placed = setTimeout(() => {
      view.placed = el.parentNode !== null;
    }, PLACED_MS);
    const replaced = setTimeout(() => this.closeTakenOut(), REPLACED_MS);
    return () => {
      clearTimeout(placed);
      clearTimeout(replaced);
      this.open.delete(view);
    };
  }

  /** The view that was drawn last, of those that stand in the page. */
  standing(): HTMLElement | undefined {
    return [...this.open].filter(({ el }) => el.isConnected).at(-1)?.el;
  }

  private closeTakenOut(): void {
    for (const { el, close, placed } of [...this.open]) {
      if (placed && el.parentNode === null) close();
    }
  }
}
