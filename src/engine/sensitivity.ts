/**
 * Sensitivity of groups of coupled channels: what each does to the outputs when it alone loses its least important
 * channels, measured on a few images. Never per layer: the layers of a group can't lose channels apart.
 */
import { dataNeeded } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import type { Graph } from '../graph/graph';
import type { GroupDetail, Sensitivity } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import type { ChannelGroups, Group } from '../prune/groups';
import { createSession } from '../runtime/session';
import { removeChannels } from '../surgery/channels';
import { type Tensor, toFloat64 } from '../tensor/tensor';
import { type Inputs, scoreOf } from './inputs';
import type { OpenedModel } from './models';
import type { Scene } from './scene';

const RATIOS = [0.25, 0.5, 0.75] as const;
const IMAGES = 256;

export interface SensitivityRequest {
  readonly opened: OpenedModel;
  readonly groups: ChannelGroups;
  /** Importance by group name: the least important channels go. */
  readonly details: ReadonlyMap<string, GroupDetail>;
  readonly inputs: Inputs | null;
  readonly session: Scene['session'];
  readonly seed: number;
}

/** @throws UserError `data-needed` */
export async function measureSensitivity(
  request: SensitivityRequest,
  { signal, progress }: RequestContext,
): Promise<Sensitivity> {
  const { opened, groups, details, inputs } = request;
  if (!inputs) throw dataNeeded({ what: 'sensitivity' });
  const { graph, metadata } = opened.model;
  const open = groups.groups.filter((group) => group.reason === null && details.has(group.name));
  const whole = await outcome(graph, request, inputs, signal);
  const measured: Sensitivity['groups'][number][] = [];
  for (const [i, group] of open.entries()) {
    const damage: number[] = [];
    for (const ratio of RATIOS) {
      signal.throwIfAborted();
      const removed = leastImportant(group, details.get(group.name) as GroupDetail, ratio);
      if (removed.length === 0) {
        damage.push(damage.at(-1) ?? 0);
        continue;
      }
      const cuts = [{ kind: 'removeChannels' as const, group: group.name, channels: removed }];
      const found = await outcome(removeChannels(groups, cuts, metadata.irVersion), request, inputs, signal);
      damage.push(damageOf(whole, found));
    }
    measured.push({ name: group.name, damage });
    progress({
      phase: 'measure',
      message: `Measuring what ${group.name} bears (${i + 1} of ${open.length})`,
      fraction: (i + 1) / open.length,
    });
  }
  return {
    ratios: RATIOS,
    groups: measured,
    unit: whole.accuracy === null ? 'divergence' : 'accuracy',
    images: Math.min(IMAGES, inputs.dataset.length),
  };
}

function leastImportant({ channels }: Group, { importance }: GroupDetail, ratio: number): number[] {
  const order = Uint32Array.from({ length: channels }, (_, c) => c).sort(
    (a, b) => importance[a] - importance[b] || a - b,
  );
  return [...order.subarray(0, Math.min(channels - 1, Math.round(ratio * channels)))].sort((a, b) => a - b);
}

interface Outcome {
  readonly accuracy: number | null;
  /** First output, image by image; empty where accuracy says it all. */
  readonly outputs: readonly Float64Array[];
}

async function outcome(
  graph: Graph,
  { opened, session: options, seed }: SensitivityRequest,
  inputs: Inputs,
  signal: AbortSignal,
): Promise<Outcome> {
  const session = await createSession(serializeGraph(graph, opened.model.metadata), {
    ...options,
    label: 'the trial model',
  });
  try {
    if (inputs.dataset.labelled) {
      const score = await scoreOf(session, inputs, { count: IMAGES, seed, signal });
      return { accuracy: score?.accuracy ?? null, outputs: [] };
    }
    const outputs: Float64Array[] = [];
    for await (const feeds of inputs.feeds({ count: IMAGES, seed, signal })) {
      outputs.push(...rowsOf((await session.run(feeds))[graph.outputs[0].name]));
    }
    return { accuracy: null, outputs };
  } finally {
    await session.release();
  }
}

function rowsOf(tensor: Tensor): Float64Array[] {
  const values = toFloat64(tensor);
  const rows = tensor.dims[0] || 1;
  const width = values.length / rows;
  return Array.from({ length: rows }, (_, n) => values.subarray(n * width, (n + 1) * width));
}

/** Points of accuracy lost (percent), at least none; without labels Σ(y − y')² / Σy² of the outputs. */
function damageOf(whole: Outcome, found: Outcome): number {
  if (whole.accuracy !== null && found.accuracy !== null) return Math.max(0, 100 * (whole.accuracy - found.accuracy));
  let [difference, size] = [0, 0];
  for (const [n, row] of whole.outputs.entries()) {
    for (const [i, value] of row.entries()) {
      difference += (value - (found.outputs[n]?.[i] ?? 0)) ** 2;
      size += value ** 2;
    }
  }
  return difference / (size || 1);
}
