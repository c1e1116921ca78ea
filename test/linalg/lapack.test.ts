/** Singular values of every layer of real models against LAPACK's; see test/fixtures/spectra/README.md. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { readWeight } from '../../src/analysis/weights';
import { openModel } from '../../src/formats';
import { blockSingularValues, thinSvd } from '../../src/linalg/svd';
import { hasShared, sharedFile } from '../support/shared';
import { largestDifference } from './matrices';

interface Reference {
  readonly shape: readonly [number, number, number];
  /** [blocks, min(rows, cols)] */
  readonly values: Float64Array;
}

const models = [
  ['resnet20_cifar10', 20],
  ['resnet56_cifar10', 56],
  ['vgg8_cifar10', 9],
  ['mobilenet_v1_025_imagenet', 28],
  ['face_detector_rfb320', 52],
  ['basic_pitch_audio', 32],
] as const;

/** Agreement asked for, as a share of a block's largest singular value. */
const tolerance = 1e-7;

function references(model: string): Map<string, Reference> {
  const file = path.join(__dirname, `../fixtures/spectra/${model}.json`);
  const layers = JSON.parse(readFileSync(file, 'utf8')) as Record<
    string,
    { shape: Reference['shape']; values: string }
  >;
  return new Map(
    Object.entries(layers).map(([name, { shape, values }]) => {
      const bytes = Uint8Array.from(Buffer.from(values, 'base64'));
      return [name, { shape, values: new Float64Array(bytes.buffer) }];
    }),
  );
}

describe.skipIf(!hasShared)('singular values of real weights', () => {
  it.each(models)('agree with LAPACK for every layer of %s', (model, layerCount) => {
    const expected = references(model);
    const layers = findLayers(openModel(sharedFile(`data/models/${model}.onnx`)).graph);
    expect(layers).toHaveLength(layerCount);
    const seen = new Set<string>();
    for (const { scope, weight, name } of layers) {
      const reference = expected.get(weight.ref.name);
      const data = readWeight(scope, weight);
      if (!reference || !data) throw new Error(`no reference or no weight for ${name}`);
      seen.add(weight.ref.name);
      const [blocks, rows, cols] = reference.shape;
      const rank = Math.min(rows, cols);
      const values = blockSingularValues(data, blocks, rows, cols);
      for (let block = 0; block < blocks; block++) {
        const own = reference.values.subarray(block * rank, (block + 1) * rank);
        const limit = tolerance * own[0];
        expect(largestDifference(values.subarray(block * rank, (block + 1) * rank), own), name).toBeLessThanOrEqual(
          limit,
        );
      }
      // The decomposition has the accuracy of double precision.
      const first = thinSvd(data.subarray(0, rows * cols), rows, cols);
      const own = reference.values.subarray(0, rank);
      expect(largestDifference(first.S, own), name).toBeLessThanOrEqual(1e-13 * rank * own[0]);
    }
    expect(seen.size).toBe(expected.size);
  });
});
