/** The normalizations that image models are commonly trained with, and how a preprocessing reads in one line. */
import type { Preprocessing } from '../protocol/facts';

/** The scale that takes bytes to 0…1. */
export const byte = 1 / 255;

export interface Normalization extends Pick<Preprocessing, 'scale' | 'mean' | 'std'> {
  readonly name: string;
  /** Where it differs from RGB. */
  readonly channels?: Preprocessing['channels'];
  fits(input: { readonly gray: boolean; readonly large: boolean; readonly side: number | null }): boolean;
}

/** Likeliest first. */
export const normalizations: readonly Normalization[] = [
  {
    name: 'ImageNet mean and std',
    scale: byte,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    fits: ({ gray }) => !gray,
  },
  {
    name: 'CIFAR-10 mean and std',
    scale: byte,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.247, 0.2435, 0.2616],
    fits: ({ gray, side }) => !gray && side === 32,
  },
  {
    name: 'CIFAR-100 mean and std',
    scale: byte,
    mean: [0.5071, 0.4865, 0.4409],
    std: [0.2673, 0.2564, 0.2762],
    fits: ({ gray, side }) => !gray && side === 32,
  },
  { name: '0 to 1', scale: byte, mean: [0], std: [1], fits: () => true },
  {
    name: 'MNIST mean and std',
    scale: byte,
    mean: [0.1307],
    std: [0.3081],
    fits: ({ gray, large }) => gray && !large,
  },
  { name: '−1 to 1', scale: byte, mean: [0.5], std: [0.5], fits: () => true },
  { name: '0 to 255', scale: 1, mean: [0], std: [1], fits: () => true },
  {
    name: 'Caffe mean',
    scale: 1,
    mean: [103.939, 116.779, 123.68],
    std: [1],
    channels: 'BGR',
    fits: ({ gray, large }) => !gray && large,
  },
];

/** One line for people, e.g. "32×32 RGB, (x/255 − mean)/std with ImageNet mean and std, NCHW". */
export function summarize(p: Preprocessing): string {
  const size = p.crop ?? p.resize;
  const how = p.crop && p.resize ? ` (cut from ${p.resize.join('×')})` : '';
  const where = size ? `${size[0]}×${size[1]}${how} ` : '';
  return `${where}${p.channels}, ${formula(p)}, ${p.layout}`;
}

function formula({ scale, mean, std, channels }: Preprocessing): string {
  const x =
    scale === 1
      ? 'x'
      : Math.abs(1 / scale - Math.round(1 / scale)) < 1e-9
        ? `x/${Math.round(1 / scale)}`
        : `${number(scale)}·x`;
  const centred = constant(mean) === 0 ? x : `${x} − ${constant(mean) ?? 'mean'}`;
  const scaled = constant(std) === 1 ? centred : `${centred === x ? x : `(${centred})`}/${constant(std) ?? 'std'}`;
  if (constant(mean) !== null && constant(std) !== null) return scaled;
  const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((v, i) => v === b[i]);
  const known = normalizations.find(
    (n) => same(n.mean, mean) && same(n.std, std) && (n.channels ?? 'RGB') === channels,
  );
  const list = (values: readonly number[]) => values.map(number).join(', ');
  const numbers = [constant(mean) === null && `mean ${list(mean)}`, constant(std) === null && `std ${list(std)}`];
  return `${scaled} with ${known ? known.name : numbers.filter(Boolean).join(', ')}`;
}

/** The value that all entries share, or null. */
const constant = (values: readonly number[]): number | null =>
  values.every((value) => value === values[0]) ? Number(number(values[0])) : null;

const number = (value: number): string => String(Number(value.toPrecision(4)));
