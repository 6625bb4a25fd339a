// One tab stop for a grid: arrows move the focus inside it, as ARIA's grid pattern asks.

export interface Place {
  row: number;
  col: number;
}

/** Where an arrow, Home or End leads from a place; null for other keys. */
export function moved(key: string, at: Place, rows: number, cols: number): Place | null {
  const clamp = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
  switch (key) {
    case "ArrowLeft":
      return { row: at.row, col: clamp(at.col - 1, cols) };
    case "ArrowRight":
      return { row: at.row, col: clamp(at.col + 1, cols) };
    case "ArrowUp":
      return { row: clamp(at.row - 1, rows), col: at.col };
    case "ArrowDown":
      return { row: clamp(at.row + 1, rows), col: at.col };
    case "Home":
      return { row: at.row, col: 0 };
    case "End":
      return { row: at.row, col: cols - 1 };
    default:
      return null;
  }
}
