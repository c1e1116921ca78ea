/** Gradients on a GPU, or on a software stand-in for one; skipped on machines with neither. */
import { describe, test } from 'vitest';
import { makeNode } from '../../src/graph/graph';
import { createSession } from '../../src/runtime/session';
import { casesOf, checkGradientOn, families, type GradientCase } from '../support/gradient';
import { makeGraph, modelBytes, value } from '../support/onnxBuilder';

async function hasGpu(): Promise<boolean> {
  const copy = makeGraph({
    nodes: [makeNode('Neg', ['x'], ['y'])],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
  });
  try {
    await (await createSession(modelBytes(copy), { device: 'webgpu', threads: 1 })).release();
    return true;
  } catch {
    return false;
  }
}

/** What ONNX Runtime's WebGPU provider does not run at all. */
function isRunnable({ op, attributes, inputs, outputs, name }: GradientCase): boolean {
  if (op === 'BatchNormalization' && attributes?.training_mode) return false;
  if (op === 'MaxPool' && outputs === 2) return false;
  if (name === 'Cast to float64') return false;
  const [X] = inputs;
  return !(op === 'Conv' && X !== null && 'dims' in X && X.dims?.length === 5);
}

describe.skipIf(!(await hasGpu()))('gradients with WebGPU', () => {
  const rows = families.flatMap((family) =>
    casesOf(family)
      .filter((row) => !row.noPyTorch && isRunnable(row))
      .map((row) => [`${family}: ${row.name}`, row, family] as const),
  );
  test.each(rows)('%s', async (_name, row, family) => {
    await checkGradientOn('webgpu', row, family);
  });
});
