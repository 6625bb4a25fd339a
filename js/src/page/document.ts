// A page as a file: what it was when it was opened, with what is selected now.

import { deflated } from "./encoding";

export class PageDocument {
  private readonly opened: HTMLElement;

  /** Made before anything is drawn. */
  constructor(private readonly page: Document) {
    this.opened = page.documentElement.cloneNode(true) as HTMLElement;
  }

  part(number: number): string {
    return this.page.querySelector(`script[data-vaw-part="${number}"]`)?.textContent ?? "";
  }

  code(name: string): string {
    return this.page.querySelector(`script[data-vaw-code="${name}"]`)?.textContent ?? "";
  }

  /** What was selected when the page was saved from the browser; "" where it was not. */
  get selected(): string {
    return this.page.querySelector("script[data-vaw-selected]")?.textContent ?? "";
  }

  /** The file of this page, which opens with these selections. */
  async file(selected: unknown): Promise<Uint8Array<ArrayBuffer>> {
    const script = this.page.createElement("script");
    script.type = "application/gzip";
    script.dataset.vawSelected = "";
    script.textContent = await deflated(bytesOf(JSON.stringify(selected)));
    this.opened.querySelector("script[data-vaw-selected]")?.remove();
    this.opened.querySelector("script[type=module]")?.before(script, "\n");
    return bytesOf(`<!doctype html>\n${this.opened.outerHTML}\n`);
  }
}

const bytesOf = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
