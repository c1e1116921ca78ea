/**
 * Proof before saving: the candidate file is read again by our reader and run by ONNX Runtime, and must be what the
 * plan said: same ports and metadata, the predicted counts, and the outputs of the masked model.
 */
import { verificationFailed } from '../errors';
import type { Model } from '../formats/model';
import { serializeGraph } from '../formats/onnx/serialize';
import { type Graph, type ModelMetadata, standardOpset } from '../graph/graph';
import type { Totals } from '../protocol/facts';
import type { Check } from '../protocol/plan';
import { createSession } from '../runtime/session';
import type { DataType } from '../tensor/dtype';
import { type Tensor, toFloat64 } from '../tensor/tensor';
import { OpenModels } from './models';

/** Largest difference of outputs, relative to the largest output: sums in another order, with the weights' precision. */
const TOLERANCE = 1e-3;
const TOLERANCES: Readonly<Partial<Record<DataType, number>>> = { float16: 3e-2, bfloat16: 2e-1 };

export interface Expected {
  readonly original: Model;
  /** What the candidate must compute: the same cuts with every layer in its original shape, or what was trained. */
  readonly reference: { readonly graph: Graph; readonly metadata: ModelMetadata; readonly name: string };
  readonly totals: Totals;
  readonly shapes: Readonly<Record<string, readonly number[]>> | undefined;
  readonly feeds: Readonly<Record<string, Tensor>> | null;
}

/** @throws UserError `verification-failed`, naming the check and what it found */
export async function verifyCandidate(path: string, expected: Expected): Promise<Check[]> {
  const models = new OpenModels();
  try {
    const candidate = await models.withShapes(path, expected.shapes);
    const checks = [
      samePorts(expected.original, candidate.model),
      sameMetadata(expected.original, candidate.model),
      ...sameCounts(expected.totals, candidate.facts.totals),
    ];
    const tolerance = Math.max(
      ...candidate.layers.map(({ weight }) => TOLERANCES[weight.dtype] ?? TOLERANCE),
      TOLERANCE,
    );
    if (expected.feeds) checks.push(await sameOutputs(path, expected, expected.feeds, tolerance));
    const failed = checks.find((check) => !check.passed);
    if (failed) throw verificationFailed({ check: failed.name, detail: failed.detail });
    return checks;
  } finally {
    models.closeAll();
  }
}

function samePorts(a: Model, b: Model): Check {
  const list = (model: Model): string =>
    [...model.graph.inputs.filter((input) => !model.graph.initializers.has(input.name)), ...model.graph.outputs]
      .map(({ name, shape }) => `${name} ${shape?.join('×') ?? '?'}`)
      .join(', ');
  return {
    name: 'Inputs and outputs are unchanged',
    passed: list(a) === list(b),
    detail: `${list(b)} (was ${list(a)})`,
  };
}

function sameMetadata(a: Model, b: Model): Check {
  const text = ({ metadata }: Model): string =>
    JSON.stringify([
      metadata.irVersion,
      metadata.producerName,
      metadata.producerVersion,
      [...metadata.opsets],
      [...metadata.properties],
      metadata.functions,
    ]);
  return {
    name: 'Metadata is unchanged',
    passed: text(a) === text(b),
    detail: `IR ${b.metadata.irVersion}, opset ${standardOpset(b.metadata)}, ${b.metadata.properties.size} properties`,
  };
}

function sameCounts(expected: Totals, found: Totals): Check[] {
  return (['params', 'macs', 'bytes'] as const).map((key) => ({
    name: { params: 'Parameters as predicted', macs: 'MACs as predicted', bytes: 'Weight bytes as predicted' }[key],
    passed: expected[key] === null || found[key] === expected[key],
    detail: `${found[key] ?? 'unknown'} in the written file, ${expected[key] ?? 'unknown'} predicted`,
  }));
}

async function sameOutputs(
  path: string,
  { reference }: Expected,
  feeds: Readonly<Record<string, Tensor>>,
  tolerance: number,
): Promise<Check> {
  const [a, b] = [
    await outputsOf(serializeGraph(reference.graph, reference.metadata), feeds),
    await outputsOf(path, feeds),
  ];
  let worst = 0;
  let name = '';
  for (const [output, tensor] of Object.entries(a)) {
    const difference = relativeDifference(tensor, b[output] as Tensor);
    // Once not a number, it stays that: no later output makes up for it.
    if (Number.isNaN(difference) || difference > worst) {
      worst = difference;
      name = output;
    }
  }
  return {
    name: `Outputs equal those of ${reference.name}`,
    passed: worst <= tolerance,
    detail: `largest difference ${worst.toExponential(1)} of the largest value${name ? ` in '${name}'` : ''}, tolerance ${tolerance}`,
  };
}

export async function outputsOf(
  model: string | Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const session = await createSession(model, { label: 'the model under verification' });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** max |a − b| / max |a|; NaN when one has a NaN where the other has none, or shapes differ. */
export function relativeDifference(a: Tensor, b: Tensor): number {
  if (a.dims.join() !== b.dims.join()) return Number.NaN;
  const [x, y] = [toFloat64(a), toFloat64(b)];
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [x[i] as number, y[i] as number];
    if (Number.isNaN(p) && Number.isNaN(q)) continue;
    if (p === q) continue; // equal infinities
    largest = Math.max(largest, Math.abs(p));
    difference = Math.max(difference, Math.abs(p - q));
    if (Number.isNaN(p - q)) return Number.NaN;
  }
  return difference === 0 ? 0 : difference / Math.max(largest, Number.MIN_VALUE);
}
