/** Marks of points: methods differ by shape as well as by colour. */
import { px } from './scale';

type Shape = (x: number, y: number, r: number) => string;

const polygon =
  (corners: readonly (readonly [number, number])[]): Shape =>
  (x, y, r) =>
    `M${corners.map(([dx, dy]) => `${px(x + dx * r)} ${px(y + dy * r)}`).join('L')}Z`;

/** In the order of the methods on offer; each about as large as a circle of the radius. */
const shapes: readonly Shape[] = [
  (x, y, r) => `M${px(x - r)} ${px(y)}a${px(r)} ${px(r)} 0 1 0 ${px(2 * r)} 0a${px(r)} ${px(r)} 0 1 0 ${px(-2 * r)} 0Z`,
  polygon([
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ]),
  polygon([
    [0, -1.3],
    [1.3, 0],
    [0, 1.3],
    [-1.3, 0],
  ]),
  polygon([
    [0, -1.2],
    [1.2, 0.9],
    [-1.2, 0.9],
  ]),
  polygon([
    [0, 1.2],
    [1.2, -0.9],
    [-1.2, -0.9],
  ]),
  polygon([
    [-0.4, -1.2],
    [0.4, -1.2],
    [0.4, -0.4],
    [1.2, -0.4],
    [1.2, 0.4],
    [0.4, 0.4],
    [0.4, 1.2],
    [-0.4, 1.2],
    [-0.4, 0.4],
    [-1.2, 0.4],
    [-1.2, -0.4],
    [-0.4, -0.4],
  ]),
];

/** Number of shapes, and of the classes `mark-0`, `mark-1`, … in charts/styles.ts. */
export const markKinds = shapes.length;

/** The outline of the mark of the `kind`-th method around (x, y). */
export function markPath(kind: number, x: number, y: number, radius: number): string {
  return shapes[kind % markKinds](x, y, radius);
}
