/** Two models side by side: their layers by name, the distance of equal weights, outputs, latency and accuracy. */
import path from 'node:path';
import { readWeight } from '../analysis/weights';
import type { EngineParams, ModelComparison } from '../protocol/engine';
import type { LatencyFacts, LayerFacts } from '../protocol/facts';
import type { RequestContext } from '../protocol/rpc';
import { measureLatency } from '../runtime/latency';
import { evaluateModel } from './evaluate';
import { openInputs } from './inputs';
import type { OpenedModel, OpenModels } from './models';
import { largestDifference, noiseInputs, outputsOf } from './verify';

export async function compareModels(
  models: OpenModels,
  { a: pathA, b: pathB, data, limit }: EngineParams<'compare'>,
  context: RequestContext,
): Promise<ModelComparison> {
  const a = await models.withShapes(pathA);
  const b = await models.withShapes(pathB);
  const names = new Set([...a.facts.layers, ...b.facts.layers].map((layer) => layer.name));
  const layers = [...names].map((name) => {
    context.signal.throwIfAborted();
    const [x, y] = [factsOf(a, name), factsOf(b, name)];
    return {
      name,
      a: x,
      b: y,
      difference: x && y && x.shape.join() === y.shape.join() ? weightDifference(a, b, name) : null,
    };
  });
  const feeds = a.shapes.inputs && samePorts(a, b) ? noiseInputs(a.model.graph, a.shapes.inputs) : null;
  let outputDifference: number | null = null;
  let latency: ModelComparison['latency'] = null;
  if (feeds) {
    context.progress({ phase: 'measure', message: 'Running both models', fraction: 0.3 });
    const { worst } = largestDifference(await outputsOf(pathA, feeds), await outputsOf(pathB, feeds));
    outputDifference = Number.isNaN(worst) ? null : worst;
    const [la, lb] = (await measureLatency([pathA, pathB], feeds, { signal: context.signal })) as [
      LatencyFacts,
      LatencyFacts,
    ];
    latency = { a: la, b: lb, speedup: la.median / lb.median };
  }
  return {
    a: a.facts,
    b: b.facts,
    layers,
    outputDifference,
    latency,
    accuracy: data ? await accuracies(a, b, data, limit, context) : null,
  };
}

function factsOf({ facts }: OpenedModel, name: string) {
  const layer = facts.layers.find((l: LayerFacts) => l.name === name);
  return layer ? { shape: layer.weight.shape, params: layer.params, macs: layer.macs } : null;
}

function weightDifference(a: OpenedModel, b: OpenedModel, name: string): number | null {
  const [x, y] = [a, b].map((opened) => {
    const layer = opened.layers.find((l) => l.name === name);
    return layer ? readWeight(layer.scope, layer.weight) : null;
  });
  if (!x || !y || x.length !== y.length) return null;
  let norm = 0;
  let distance = 0;
  for (let i = 0; i < x.length; i++) {
    norm += (x[i] as number) ** 2;
    distance += ((x[i] as number) - (y[i] as number)) ** 2;
  }
  return Math.sqrt(distance / (norm || 1));
}

function samePorts(a: OpenedModel, b: OpenedModel): boolean {
  const text = ({ facts }: OpenedModel): string => JSON.stringify([facts.shapes, facts.outputs.map((o) => o.name)]);
  return text(a) === text(b);
}

async function accuracies(
  a: OpenedModel,
  b: OpenedModel,
  data: string,
  limit: number | undefined,
  context: RequestContext,
): Promise<ModelComparison['accuracy']> {
  const inputs = await openInputs(a, path.resolve(data), { signal: context.signal });
  try {
    const options = { limit, device: 'cpu', threads: 0 } as const;
    return {
      a: await evaluateModel(a.model.path, inputs, options, context, path.basename(a.model.path)),
      b: await evaluateModel(b.model.path, inputs, options, context, path.basename(b.model.path)),
    };
  } finally {
    await inputs.close();
  }
}
