import { expect, it } from 'vitest';
import { type ComparedModels, comparisonMarkdown } from '../../src/extension/comparisonText';

const a = {
  path: '/m/big.onnx',
  fileBytes: 2_000_000,
  totals: { params: 500_000, macs: 40_551_040, bytes: 0 },
  opset: 17,
  nodeCount: 20,
};
const b = {
  path: '/m/big.pruned.onnx',
  fileBytes: 1_000_000,
  totals: { params: 250_000, macs: null, bytes: 0 },
  opset: 17,
  nodeCount: 22,
};
const models: ComparedModels = {
  a,
  b,
  layers: [
    {
      name: 'conv1',
      a: { shape: [4, 3, 3, 3], params: 108, macs: 1000 },
      b: { shape: [4, 3, 3, 3], params: 108, macs: 1000 },
      difference: 0,
    },
    { name: 'x|`<b>`', a: { shape: [8, 4], params: 32, macs: 32 }, b: null, difference: null },
    {
      name: 'conv2',
      a: { shape: [8, 4], params: 1000, macs: null },
      b: { shape: [8, 2], params: 500, macs: 7 },
      difference: 0.0123,
    },
    { name: 'conv3', a: { shape: [8, 8], params: 64, macs: 100 }, b: null, difference: null },
    { name: 'conv3.basis', a: null, b: { shape: [2, 8], params: 16, macs: 30 }, difference: null },
    { name: 'conv3.scaling', a: null, b: { shape: [8, 2], params: 16, macs: 20 }, difference: null },
  ],
  outputDifference: 0.01234,
  latency: null,
  accuracy: null,
};

it('writes figures with their change, and unknown ones as a dash', () => {
  expect(comparisonMarkdown(models)).toBe(`# big.onnx and big.pruned.onnx

|  | big.onnx | big.pruned.onnx | Change |
| --- | ---: | ---: | ---: |
| File size (bytes) | 2 M | 1 M | −50 % |
| Parameters | 500 k | 250 k | −50 % |
| MACs | 40.55 M | – |  |
| Nodes | 20 | 22 | +10 % |
| Operator set | 17 | 17 |  |

On the same input, the outputs differ by at most 1.234 % of the largest output.

## Layers

| Layer | Weight | Parameters | MACs | Weights differ by |
| --- | ---: | ---: | ---: | ---: |
| \`conv1\` | 4×3×3×3 | 108 | 1,000 | equal |
| \`x\\|'<b>'\` | 8×4 → absent | 32 → – | 32 → – | – |
| \`conv2\` | 8×4 → 8×2 | 1,000 → 500 (−50 %) | – → 7 | 1.2e-2 |
| \`conv3\` | 8×8 → 2×8 and 8×2 | 64 → 32 (−50 %) | 100 → 50 (−50 %) | – |
`);
});

it('states accuracy in points and time as measured', () => {
  const accuracy = (value: number) =>
    ({ accuracy: value, images: 10_000 }) as NonNullable<ComparedModels['accuracy']>['a'];
  const latency = (median: number) => ({ median, iqr: 0.1 }) as NonNullable<ComparedModels['latency']>['a'];
  const text = comparisonMarkdown({
    ...models,
    accuracy: { a: accuracy(0.9173), b: accuracy(0.9021) },
    latency: { a: latency(2), b: latency(1), speedup: 2 },
  });
  expect(text).toContain('| Accuracy | 91.73 % of 10,000 images | 90.21 % of 10,000 images | −1.52 points |');
  expect(text).toContain(
    '| Latency (ms) | 2.00 (interquartile range 0.10) | 1.00 (interquartile range 0.10) | 2.00× as fast |',
  );
});
