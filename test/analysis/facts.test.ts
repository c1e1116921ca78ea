/** What is said of a model beside its numbers: by its file, and by its graph. */
import { expect, test } from 'vitest';
import { modelFacts } from '../../src/analysis/facts';
import { findLayers } from '../../src/analysis/layers';
import { openModel } from '../../src/formats';
import { temporaryFile } from '../support/onnxBuilder';
import { encodeModel } from '../support/onnxProto';

const node = (name: string, domain = '') => ({ input: ['x'], output: ['y'], opType: 'Twice', name, domain });

test('facts say once what of a file is kept and not looked into', () => {
  const bytes = encodeModel({
    irVersion: 10,
    opsetImport: [{ version: 17 }, { domain: 'own', version: 1 }],
    functions: [{ name: 'Twice', domain: 'own', input: ['a'], output: ['b'], node: [], opsetImport: [] }],
    trainingInfo: [{ algorithm: { name: 'training', node: [] } }],
    graph: { name: 'g', node: [node('only', 'own')], input: [{ name: 'x' }], output: [{ name: 'y' }] },
  });
  const model = openModel(temporaryFile(bytes));
  const layers = findLayers(model.graph);
  const { notes } = modelFacts(model, layers, { values: new Map(), inputs: null, reason: null });
  model.close();
  expect(notes).toEqual([
    'Model-local functions (1) are kept and not looked into.',
    'Training information is kept and not looked into.',
    'Operators of other operator sets (own) are kept as they are.',
  ]);
});
