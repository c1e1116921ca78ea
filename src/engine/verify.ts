/**
 * Proof before saving: the candidate file is read again by our reader and run by ONNX Runtime, and must be what the
 * plan said: same ports and metadata, the predicted counts, and the outputs of the masked model.
 */
import { findLayers, type Layer } from '../analysis/layers';
import { verificationFailed } from '../errors';
import type { Model } from '../formats/model';
import { serializeGraph } from '../formats/onnx/serialize';
import { type Graph, type ModelMetadata, standardOpset, type ValueInfo } from '../graph/graph';
import { producers } from '../graph/order';
import { type Random, seededRandom } from '../linalg/random';
import type { Totals } from '../protocol/facts';
import type { Check, SparsityReport } from '../protocol/plan';
import { createSession } from '../runtime/session';
import { dummyInputs } from '../runtime/shapes';
import { type DataType, isFloatType } from '../tensor/dtype';
import { fromFloat, type Tensor, toFloat64 } from '../tensor/tensor';
import { OpenModels } from './models';
import { sameZeros } from './sparsity';

/** Largest difference of outputs, relative to the largest output: sums in another order, with the weights' precision. */
const TOLERANCE = 1e-3;
const TOLERANCES: Readonly<Partial<Record<DataType, number>>> = { float16: 3e-2, bfloat16: 2e-1 };

type GraphOfModel = Pick<Model, 'graph' | 'metadata'>;

export interface Expected {
  readonly original: Model;
  /** What the candidate must compute: the same cuts with every layer in its original shape, or what was trained. */
  readonly reference: { readonly graph: Graph; readonly metadata: ModelMetadata; readonly name: string };
  readonly totals: Totals;
  readonly shapes: Readonly<Record<string, readonly number[]>> | undefined;
  readonly feeds: Readonly<Record<string, Tensor>> | null;
  /** What was counted of the zeros of a sparse model. */
  readonly sparsity?: SparsityReport;
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
      ...(expected.sparsity ? [sameZeros(candidate.layers, expected.sparsity)] : []),
    ];
    checks.forEach(requirePassed);
    if (!expected.feeds) return checks;
    const tolerance = toleranceOf(candidate.model.graph);
    const outputs = await sameOutputs(candidate.model, expected, expected.feeds, tolerance);
    requirePassed(outputs);
    return [...checks, outputs];
  } finally {
    models.closeAll();
  }
}

function toleranceOf(graph: Graph): number {
  const weights = findLayers(graph).map(({ weight }) => TOLERANCES[weight.dtype] ?? TOLERANCE);
  return Math.max(TOLERANCE, ...weights);
}

/** @throws UserError `verification-failed` */
export function requirePassed({ name, passed, detail }: Check): void {
  if (!passed) throw verificationFailed({ check: name, detail });
}

function samePorts(a: Model, b: Model): Check {
  const list = (model: Model): string =>
    [...model.graph.inputs.filter((input) => !model.graph.initializers.has(input.name)), ...model.graph.outputs]
      .map(({ name, dtype, shape }) => `${name} ${dtype ?? '?'} ${shape?.join('×') ?? '?'}`)
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
  candidate: Model,
  { reference, original }: Expected,
  feeds: Readonly<Record<string, Tensor>>,
  tolerance: number,
): Promise<Check> {
  const expected = await outputsOf(serializeGraph(reference.graph, reference.metadata), feeds);
  const found = await outputsOf(candidate.path, feeds);
  const { worst, value } = largestDifference(expected, found);
  const passed = worst <= tolerance;
  const where = passed ? null : await firstToDiffer(candidate, reference, original.graph, feeds, tolerance);
  return {
    name: `Outputs equal those of ${reference.name}`,
    passed,
    detail: `largest difference ${worst.toExponential(1)} of the largest value${value ? ` in '${value}'` : ''}, tolerance ${tolerance}${where ? `; the first layer to differ is ${where}` : ''}`,
  };
}

/**
 * Whether two networks with the same inputs give the same outputs for noise, within the tolerance of a rewrite. A network
 * that is made for numbers from 0 to 1, as it takes their root, is held against the other with these alone.
 */
export async function sameOnNoise(
  name: string,
  [expected, found]: readonly [GraphOfModel, GraphOfModel],
  { shapes, seed }: { shapes: Readonly<Record<string, readonly number[]>>; seed: number },
): Promise<Check> {
  const feeds = bothNoises(expected.graph, shapes, seed);
  const run = ({ graph, metadata }: GraphOfModel) => outputsOfEach(serializeGraph(graph, metadata), feeds);
  const [a, b] = [await run(expected), await run(found)];
  const worst = Math.max(
    ...a.map((outputs, i) => (i === 0 || areFinite(outputs) ? largestDifference(outputs, b[i]).worst : 0)),
  );
  const tolerance = toleranceOf(found.graph);
  return {
    name,
    passed: worst <= tolerance,
    detail: `largest difference ${worst.toExponential(1)} of the largest output, tolerance ${tolerance}`,
  };
}

/** The largest relative difference of two runs' outputs, and the output that has it. */
export function largestDifference(
  expected: Readonly<Record<string, Tensor>>,
  found: Readonly<Record<string, Tensor>>,
): { worst: number; value: string } {
  let largest = { worst: 0, value: '' };
  for (const [value, tensor] of Object.entries(expected)) {
    const worst = relativeDifference(tensor, found[value]);
    // Once not a number, it stays that: no later output makes up for it.
    if (Number.isNaN(worst)) return { worst, value };
    if (worst > largest.worst) largest = { worst, value };
  }
  return largest;
}

/** The name of the first layer whose output differs; cuts leave the names of outputs as they were. */
async function firstToDiffer(
  candidate: Model,
  reference: Expected['reference'],
  original: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  tolerance: number,
): Promise<string | null> {
  const graphs = [candidate.graph, reference.graph].map(producers);
  const layers = findLayers(original).filter(
    ({ path, node }) => path.length === 0 && graphs.every((g) => g.has(node.outputs[0])),
  );
  const outputs = layers.map(({ node }): ValueInfo => ({ name: node.outputs[0], dtype: null, shape: null }));
  const run = ({ graph, metadata }: GraphOfModel) =>
    outputsOf(serializeGraph({ ...graph, outputs, valueInfo: [] }, metadata), feeds);
  const [expected, found] = [await run(reference), await run(candidate)];
  const differs = ({
    node: {
      outputs: [value],
    },
  }: Layer) => !(relativeDifference(expected[value], found[value]) <= tolerance);
  return layers.find(differs)?.name ?? null;
}

/** Inputs in which nothing is like anything else: numbers from 0 to 1 for floats, zeros for indices and the like. */
export function noiseInputs(
  graph: Graph,
  shapes: Readonly<Record<string, readonly number[]>>,
  seed = 0,
  draw = (random: Random): number => random.uniform(),
): Record<string, Tensor> {
  const random = seededRandom(seed);
  const feeds = dummyInputs(graph, shapes);
  for (const [name, { dtype, dims, data }] of Object.entries(feeds)) {
    if (!isFloatType(dtype)) continue;
    const values = Float64Array.from({ length: data.length }, () => draw(random));
    feeds[name] = fromFloat(values, dtype, dims);
  }
  return feeds;
}

/** Numbers from 0 to 1, and such of both signs: what is zero for one kind need not be for the other. */
export function bothNoises(
  graph: Graph,
  shapes: Readonly<Record<string, readonly number[]>>,
  seed = 0,
): Record<string, Tensor>[] {
  return [noiseInputs(graph, shapes, seed), noiseInputs(graph, shapes, seed, (random) => 2 * random.normal())];
}

function areFinite(outputs: Readonly<Record<string, Tensor>>): boolean {
  return Object.values(outputs).every((tensor) => toFloat64(tensor).every(Number.isFinite));
}

export async function outputsOf(
  model: string | Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const [outputs] = await outputsOfEach(model, [feeds]);
  return outputs;
}

/** Outputs for one input after the other. */
export async function outputsOfEach(
  model: string | Uint8Array,
  inputs: readonly Readonly<Record<string, Tensor>>[],
): Promise<Record<string, Tensor>[]> {
  const session = await createSession(model, { label: 'the model under verification' });
  try {
    const outputs: Record<string, Tensor>[] = [];
    for (const feeds of inputs) outputs.push(await session.run(feeds));
    return outputs;
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
