// Boxes and numbers.

// A box is two corners, in any order.
export function rectangle([x0, y0, x1, y1]) {
  return { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
}

export function within(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
