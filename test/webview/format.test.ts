import { describe, expect, test } from 'vitest';
import {
  bytes,
  change,
  count,
  elapsed,
  exact,
  factor,
  milliseconds,
  percent,
  plural,
  points,
  progressPercent,
  real,
  round,
  shape,
} from '../../webview/format';

/** Figures with a plain space where a no-break space keeps number and unit together. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe.each<[string, (value: never) => string, [unknown, string][]]>([
  [
    'count',
    count,
    [
      [0, '0'],
      [640, '640'],
      [999, '999'],
      [1000, '1.00 k'],
      [999_499, '999 k'],
      [999_500, '1.00 M'],
      [2_359_296, '2.36 M'],
      [4_089_184_256, '4.09 G'],
      [-1500, '−1.50 k'],
      [null, '–'],
    ],
  ],
  [
    'bytes',
    bytes,
    [
      [512, '512 B'],
      [1_121_334, '1.12 MB'],
      [2e9, '2.00 GB'],
      [null, '–'],
    ],
  ],
  [
    'exact',
    exact,
    [
      [270_896, '270,896'],
      [-5, '−5'],
      [null, '–'],
    ],
  ],
  [
    'real',
    real,
    [
      [0, '0'],
      [28.8, '28.8'],
      [0.54, '0.540'],
      [1, '1.00'],
      [149.4, '149'],
      [12_345.6, '12,346'],
      [999.7, '1,000'],
      [1.23e-7, '1.23e−7'],
      [123_456, '1.23e+5'],
      [-0.5, '−0.500'],
      [Number.POSITIVE_INFINITY, '∞'],
      [Number.NaN, '–'],
      [null, '–'],
    ],
  ],
  [
    'percent',
    percent,
    [
      [0, '0 %'],
      [1, '100 %'],
      [0.46, '46.0 %'],
      [0.4632, '46.3 %'],
      [0.0001, '< 0.1 %'],
      [0.99996, '> 99.9 %'],
      [1.2, '120.0 %'],
      [null, '–'],
    ],
  ],
  [
    'progressPercent',
    progressPercent,
    [
      [0.999, '99 %'],
      [1, '100 %'],
      [1.4, '100 %'],
      [-1, '0 %'],
    ],
  ],
  [
    'milliseconds',
    milliseconds,
    [
      [0, '0 ms'],
      [0.0341, '34.1 µs'],
      [0.0999, '99.9 µs'],
      [0.1, '0.1 ms'],
      [1.8412, '1.84 ms'],
      [999.6, '1 s'],
      [2500, '2.5 s'],
      [null, '–'],
    ],
  ],
  [
    'elapsed',
    elapsed,
    [
      [8.9, '8 s'],
      [125, '2:05 min'],
      [3725, '1:02:05 h'],
      [-3, '0 s'],
    ],
  ],
  [
    'factor',
    factor,
    [
      [1.6, '1.60×'],
      [12.34, '12.3×'],
      [null, '–'],
      [Number.POSITIVE_INFINITY, '–'],
    ],
  ],
  [
    'shape',
    shape,
    [
      [[16, 3, 3, 3], '16×3×3×3'],
      [['N', 3, ''], 'N×3×?'],
      [[], 'scalar'],
      [null, '–'],
    ],
  ],
  [
    'round',
    round,
    [
      ['5.00 M', '5 M'],
      ['2.50 M', '2.5 M'],
      ['1.00e−7', '1e−7'],
      ['100', '100'],
      ['0.100', '0.1'],
    ],
  ],
])('%s', (_, format, cases) => {
  test.each(cases)('%j → %s', (value, text) => {
    expect(plain(format(value as never))).toBe(text);
  });
});

test('changes carry their sign', () => {
  expect(plain(change(100, 54))).toBe('−46.0 %');
  expect(plain(change(100, 103.1))).toBe('+3.1 %');
  expect(plain(change(7, 7))).toBe('±0 %');
  expect([change(null, 1), change(1, null), change(0, 1)]).toEqual(['–', '–', '–']);
});

test('differences of shares are points', () => {
  expect(plain(points(0.917, 0.819))).toBe('−9.8 points');
  expect(plain(points(0.9, 0.9033))).toBe('+0.33 points');
  expect(plain(points(0.5, 0.50001))).toBe('±0 points');
});

test('one and many', () => {
  expect([plural(1, 'layer', 'layers'), plural(20_000, 'layer', 'layers')]).toEqual(['1 layer', '20,000 layers']);
});
