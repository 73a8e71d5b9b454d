// A hand that writes numbers, never twice the same. A digit is a few strokes through points in a box 1 wide and 1
// high; a point that is there twice makes a corner.
const DIGITS = [
  [[[0.55, 0], [0.15, 0.22], [0.08, 0.62], [0.36, 1], [0.72, 0.93], [0.93, 0.5], [0.8, 0.1], [0.5, 0]]],
  [[[0.28, 0.22], [0.56, 0], [0.56, 0], [0.54, 0.5], [0.55, 1]]],
  [[[0.1, 0.22], [0.32, 0.02], [0.66, 0.02], [0.84, 0.24], [0.68, 0.52], [0.08, 1], [0.08, 1], [0.92, 0.98]]],
  [[[0.12, 0.12], [0.42, 0], [0.76, 0.1], [0.74, 0.34], [0.42, 0.47], [0.42, 0.47], [0.8, 0.6], [0.8, 0.86], [0.45, 1], [0.08, 0.88]]],
  [[[0.55, 0], [0.08, 0.64], [0.08, 0.64], [0.94, 0.62]], [[0.7, 0.32], [0.68, 0.65], [0.66, 1]]],
  [[[0.82, 0.02], [0.26, 0.03], [0.26, 0.03], [0.18, 0.45], [0.18, 0.45], [0.52, 0.38], [0.85, 0.58], [0.78, 0.9], [0.45, 1], [0.08, 0.9]]],
  [[[0.72, 0], [0.36, 0.24], [0.14, 0.6], [0.24, 0.93], [0.55, 1], [0.84, 0.8], [0.7, 0.55], [0.4, 0.55], [0.18, 0.74]]],
  [[[0.1, 0.04], [0.5, 0.02], [0.9, 0.03], [0.9, 0.03], [0.62, 0.48], [0.44, 1]]],
  [[[0.76, 0.15], [0.5, 0], [0.22, 0.15], [0.36, 0.4], [0.7, 0.62], [0.78, 0.85], [0.5, 1], [0.22, 0.85], [0.32, 0.6], [0.66, 0.38], [0.76, 0.15]]],
  [[[0.82, 0.24], [0.55, 0.02], [0.22, 0.14], [0.2, 0.42], [0.5, 0.5], [0.8, 0.28], [0.82, 0.24], [0.78, 0.6], [0.62, 1]]],
];
const HEIGHT = 0.66;
const LETTER = 0.42; // width of a digit
const PAUSE = 2; // frames between strokes

let frame = 0;

/** Write a number onto a sheet, stroke by stroke. */
export function write(pen, number) {
  cancelAnimationFrame(frame);
  pen.replace([]);
  const strokes = lines(number, pen.span);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return pen.replace(strokes);
  let [stroke, point, wait] = [0, 0, 0];
  const step = () => {
    if (wait > 0) {
      wait--;
    } else if (point === 0) {
      pen.begin(strokes[stroke][0]);
      point = 1;
    } else {
      pen.extend(strokes[stroke].slice(point, point + 3));
      point += 3;
      if (point >= strokes[stroke].length) [stroke, point, wait] = [stroke + 1, 0, PAUSE];
    }
    if (stroke < strokes.length) frame = requestAnimationFrame(step);
  };
  // Whoever draws or clears meanwhile takes the pen out of the hand.
  for (const event of ["pointerdown", "keydown"]) {
    document.addEventListener(event, () => cancelAnimationFrame(frame), { capture: true, once: true });
  }
  frame = requestAnimationFrame(step);
}

/** Any number that there is a model for. */
export function any(models) {
  const below = !models.two ? 10 : models.one && Math.random() < 0.3 ? 10 : 100;
  const number = String(Math.floor(Math.random() * below));
  return below === 100 ? number.padStart(2, "0") : number;
}

function lines(number, span) {
  const between = (low, high) => low + Math.random() * (high - low);
  const slant = between(-0.05, 0.25);
  const digits = [...number];
  const left = span / 2 - (digits.length * LETTER + (digits.length - 1) * 0.14) / 2;
  return digits.flatMap((digit, i) => {
    const [wide, high, lower] = [LETTER * between(0.85, 1.1), HEIGHT * between(0.9, 1.08), between(-0.03, 0.03)];
    const start = left + i * (LETTER + 0.14);
    return DIGITS[digit].map((points) =>
      curve(points.map(([x, y]) => [x + between(-0.025, 0.025), y + between(-0.02, 0.02)])).map(([x, y]) => [
        start + x * wide + (0.5 - y) * slant * high * 0.6,
        (1 - HEIGHT) / 2 + lower + y * high,
      ]),
    );
  });
}

/** A smooth line through points (Catmull and Rom's), six steps from each to the next. */
function curve(points) {
  const at = (i) => points[Math.min(Math.max(i, 0), points.length - 1)];
  const line = [points[0]];
  for (let i = 0; i < points.length - 1; i++) {
    for (let k = 1; k <= 6; k++) {
      const t = k / 6;
      line.push(
        [0, 1].map((axis) => {
          const [a, b, c, d] = [at(i - 1)[axis], at(i)[axis], at(i + 1)[axis], at(i + 2)[axis]];
          return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
        }),
      );
    }
  }
  return line;
}
