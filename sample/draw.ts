/**
 * Draws the sample's images: one figure of eight kinds at a random place, size and angle, in random colours on a
 * shaded, noisy ground. Only arithmetic that every machine rounds alike is used, so a seed gives the same bytes
 * everywhere.
 */
import { type Random, seededRandom } from '../src/linalg/random';

export const side = 32;
export const channels = 3;

/** Class names in label order, which is also the order of their folders. */
export const figures = ['checks', 'cross', 'disc', 'dots', 'half', 'ring', 'stripes', 'triangle'] as const;
export type Figure = (typeof figures)[number];

/**
 * Signed distance to a figure's edge in pixels, negative inside, for a point (u, v) in the figure's own axes.
 * r: the figure's size; p: the period of its pattern.
 */
const distance: Readonly<Record<Figure, (u: number, v: number, r: number, p: number) => number>> = {
  checks: (u, v, r, p) => Math.max(box(u, v, r), (-4 * wave(u, p) * wave(v, p)) / p),
  cross: (u, v, r) =>
    Math.min(Math.max(Math.abs(u) - r, Math.abs(v) - 0.3 * r), Math.max(Math.abs(v) - r, Math.abs(u) - 0.3 * r)),
  disc: (u, v, r) => Math.sqrt(u * u + v * v) - 0.9 * r,
  dots: (u, v, r, p) => Math.max(box(u, v, r), Math.sqrt(wave2(u, p) + wave2(v, p)) - 0.27 * p),
  half: (u) => u,
  ring: (u, v, r) => Math.abs(Math.sqrt(u * u + v * v) - 0.8 * r) - 0.2 * r,
  stripes: (u, v, r, p) => Math.max(box(u, v, r), wave(u, p)),
  triangle: (u, v, r) => Math.max(-v, v / 2 + (Math.abs(u) * Math.sqrt(3)) / 2) - 0.5 * r,
};

const box = (u: number, v: number, half: number): number => Math.max(Math.abs(u), Math.abs(v)) - half;
/** Offset from the middle of a period, −p/2 to p/2. */
const offset = (u: number, p: number): number => u - p * Math.floor(u / p) - p / 2;
const wave = (u: number, p: number): number => Math.abs(offset(u, p)) - p / 4;
const wave2 = (u: number, p: number): number => offset(u, p) ** 2;

type Colour = readonly [number, number, number];

/** One image: side · side · 3 bytes, interleaved. */
export function drawFigure(figure: Figure, random: Random): Uint8Array {
  const between = (low: number, high: number): number => low + (high - low) * random.uniform();
  const [centreX, centreY] = [between(12, 20), between(12, 20)];
  const r = between(8.5, 12.5);
  const p = between(5, 7);
  const [cos, sin] = direction(random);
  const ground = colour(random);
  const ink = contrasting(ground, random);
  const [slopeX, slopeY] = [between(-1.2, 1.2), between(-1.2, 1.2)];
  const noise = between(3, 10);
  const pixels = new Uint8Array(side * side * channels);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const [dx, dy] = [x - centreX, y - centreY];
      const edge = distance[figure](cos * dx + sin * dy, cos * dy - sin * dx, r, p);
      const cover = Math.min(1, Math.max(0, 0.5 - edge));
      const shade = slopeX * (x - side / 2) + slopeY * (y - side / 2);
      for (let c = 0; c < channels; c++) {
        const value = ground[c] + cover * (ink[c] - ground[c]) + shade + noise * (2 * random.uniform() - 1);
        // Steps of four: nobody sees them, and the PNG files become smaller by a third.
        pixels[(y * side + x) * channels + c] = Math.min(252, Math.max(0, 4 * Math.round(value / 4)));
      }
    }
  return pixels;
}

/** The image sets of the sample workspace, with different seeds, so that they share no image. */
export const parts = { train: { perClass: 75, seed: 1 }, test: { perClass: 45, seed: 2 } } as const;

/** The images of a part, with the names of their files. */
export function* drawPart(part: keyof typeof parts): Generator<{ figure: Figure; name: string; pixels: Uint8Array }> {
  const { perClass, seed } = parts[part];
  const random = seededRandom(seed);
  for (const figure of figures)
    for (let i = 0; i < perClass; i++)
      yield { figure, name: `${String(i).padStart(3, '0')}.png`, pixels: drawFigure(figure, random) };
}

/** A unit vector of random direction. */
function direction(random: Random): [number, number] {
  for (;;) {
    const [x, y] = [2 * random.uniform() - 1, 2 * random.uniform() - 1];
    const length = Math.sqrt(x * x + y * y);
    if (length > 0.1 && length <= 1) return [x / length, y / length];
  }
}

const colour = (random: Random): Colour => [
  20 + 215 * random.uniform(),
  20 + 215 * random.uniform(),
  20 + 215 * random.uniform(),
];

/** A colour that differs clearly from another. */
function contrasting(other: Colour, random: Random): Colour {
  for (;;) {
    const found = colour(random);
    const difference = found.reduce((sum, value, c) => sum + Math.abs(value - other[c]), 0);
    if (difference > 160) return found;
  }
}
