// A place to draw on with the pointer: what is outlined is filled, as the scenes' objects are.

const SIDE = 240;

type Draw = (context: CanvasRenderingContext2D) => void;

export class Pad {
  private readonly context: CanvasRenderingContext2D;
  private readonly strokes: Draw[] = [];

  /** `drawn` is told after every stroke. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly color: HTMLInputElement,
    private readonly ground: HTMLInputElement,
    private readonly drawn: (picture: Blob) => void,
  ) {
    canvas.width = canvas.height = SIDE;
    this.context = canvas.getContext("2d") as CanvasRenderingContext2D;
    canvas.addEventListener("pointerdown", (event) => this.stroke(event));
    ground.addEventListener("input", () => this.paint());
    ground.addEventListener("change", () => this.tell());
    this.paint();
  }

  undo(): void {
    if (!this.strokes.pop()) return;
    this.paint();
    this.tell();
  }

  clear(): void {
    this.strokes.length = 0;
    this.paint();
  }

  private stroke(down: PointerEvent): void {
    if (down.button !== 0) return;
    this.canvas.setPointerCapture(down.pointerId);
    const path = new Path2D();
    const color = this.color.value;
    const extend = ({ clientX, clientY }: PointerEvent) => {
      const box = this.canvas.getBoundingClientRect();
      const scale = SIDE / box.width;
      path.lineTo((clientX - box.left) * scale, (clientY - box.top) * scale);
      this.paint();
      fill(this.context, path, color);
    };
    const end = () => {
      this.canvas.removeEventListener("pointermove", extend);
      this.add((context) => fill(context, path, color));
    };
    extend(down);
    this.canvas.addEventListener("pointermove", extend);
    this.canvas.addEventListener("lostpointercapture", end, { once: true });
  }

  private add(draw: Draw): void {
    this.strokes.push(draw);
    this.paint();
    this.tell();
  }

  private paint(): void {
    this.context.fillStyle = this.ground.value;
    this.context.fillRect(0, 0, SIDE, SIDE);
    for (const draw of this.strokes) draw(this.context);
  }

  private tell(): void {
    this.canvas.toBlob((picture) => picture && this.drawn(picture));
  }
}

function fill(context: CanvasRenderingContext2D, path: Path2D, color: string): void {
  context.fillStyle = context.strokeStyle = color;
  context.lineWidth = SIDE / 20;
  context.lineCap = context.lineJoin = "round";
  context.fill(path);
  context.stroke(path);
}
