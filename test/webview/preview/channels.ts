/** Made-up groups of coupled channels for the made-up models: what residual networks have, planned in the simplest way. */
import { seededRandom } from '../../../src/linalg/random';
import type { LayerFacts, ModelFacts } from '../../../src/protocol/facts';
import type {
  GroupDetail,
  GroupProjection,
  LayerProjection,
  Projection,
  Sensitivity,
} from '../../../src/protocol/plan';
import type { PruneSettings } from '../../../src/protocol/recipe';
import { gives } from '../../../webview/groups';

type Members = GroupProjection['members'];

const outputsOf = ({ outputShape }: LayerFacts): number => outputShape?.[1] ?? 1;

/** Last layers of a stage's blocks add up and go together; the others go alone, with what reads them. */
function membersOf({ layers }: ModelFacts): ReadonlyMap<string, Members> {
  const found = new Map<string, { layer: string; role: Members[number]['role'] }[]>();
  for (const [i, layer] of layers.entries()) {
    if (layer.opType !== 'Conv') continue;
    const stage = layer.name.split('.')[0];
    const before = layers[i - 1];
    const followsIt = layer.matrices === null && before?.outputShape?.[1] === outputsOf(layer);
    const isSum = layer.name.endsWith('conv3') || layer.name.startsWith('stem');
    const first = isSum
      ? [...found.keys()].find((name) => name.startsWith(stage) && name.endsWith('conv3'))
      : undefined;
    const group = followsIt ? [...found.values()].at(-1) : found.get(first ?? layer.name);
    if (group) group.push({ layer: layer.name, role: followsIt ? 'follower' : 'producer' });
    else found.set(layer.name, [{ layer: layer.name, role: 'producer' }]);
    const next = layers[i + 1];
    if (next && next.matrices !== null) (group ?? found.get(layer.name))?.push({ layer: next.name, role: 'consumer' });
  }
  return found;
}

export function previewGroupDetail(group: GroupProjection): GroupDetail {
  const random = seededRandom(group.name.length + group.channels);
  const importance = Float64Array.from({ length: group.channels }, () => Math.exp(1.6 * random.normal()) * 1e-3);
  const order = Array.from(importance.keys()).sort((a, b) => importance[b] - importance[a]);
  const kept = new Uint8Array(group.channels);
  for (const channel of order.slice(0, group.kept)) kept[channel] = 1;
  return { group: group.name, criterion: 'fisher', importance, kept };
}

export function previewSensitivity(facts: ModelFacts, unit: Sensitivity['unit']): Sensitivity {
  const random = seededRandom(8);
  const groups = [...membersOf(facts).keys()].map((name) => {
    const scale = Math.exp(1.2 * random.normal());
    return { name, damage: [0.3, 2.1, 9.4].map((damage) => damage * scale * (unit === 'accuracy' ? 1 : 0.01)) };
  });
  return { ratios: [0.25, 0.5, 0.75], groups, unit, images: 256 };
}

/** Keeps the square root of the target of every group's channels, unless the settings say otherwise. */
export function previewChannels(facts: ModelFacts, settings: PruneSettings): Projection {
  const share = Math.sqrt(settings.target.value);
  const layerOf = new Map(facts.layers.map((layer) => [layer.name, layer]));
  const groups = [...membersOf(facts)].map(([name, members], i): GroupProjection => {
    const channels = outputsOf(layerOf.get(name) as LayerFacts);
    const own = settings.groups.findLast(({ match }) => match === name);
    const isWhole = own?.keep === true || i === 3;
    const asked = (own?.ratio ?? share) * channels;
    const kept = isWhole
      ? channels
      : Math.min(channels, Math.max(1, Math.ceil(asked / settings.multiple)) * settings.multiple);
    return {
      name,
      channels,
      kept,
      block: 1,
      members,
      reason: own?.keep ? 'locked' : i === 3 ? "'/concat' (Concat) needs all of them" : null,
      inexact: i === 2 ? "'/norm' (LayerNormalization) measures across them" : null,
      perChannel: i === 3 ? { macs: 0, params: 0 } : { macs: 312_400, params: 1_152 },
    };
  });
  const keptOf = (layer: string, giving: boolean) => {
    const group = groups.find(({ members }) => members.some((m) => m.layer === layer && gives(m.role) === giving));
    return group ? group.kept / group.channels : 1;
  };
  const layers = facts.layers.map((layer): LayerProjection => {
    const outputs = keptOf(layer.name, true);
    const part = outputs * keptOf(layer.name, false);
    const macs = layer.macs === null ? null : Math.round(layer.macs * part);
    const base = { layer: layer.name, rank: layer.fullRank, error: 0, macs };
    const sizes = { params: Math.round(layer.params * part), bytes: Math.round(layer.bytes * part) };
    if (part === 1) return { ...base, ...sizes, action: 'keep', reason: 'all channels it shares stay' };
    return { ...base, ...sizes, action: 'narrow', reason: null, channels: Math.round(outputs * outputsOf(layer)) };
  });
  const sum = (pick: (layer: LayerProjection) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  const after = { params: sum((l) => l.params), bytes: sum((l) => l.bytes), macs: sum((l) => l.macs ?? 0) };
  return { before: facts.totals, after, layers, groups, basis: 'weights', shortfall: null };
}

/** Channels first, then a third of the layers in two. */
export function previewDouble(facts: ModelFacts, settings: PruneSettings): Projection {
  const channels = previewChannels(facts, settings);
  const layers = channels.layers.map(
    (layer, i): LayerProjection =>
      i % 3 === 1 && layer.rank > 8
        ? { ...layer, action: 'factorize', reason: null, rank: Math.round(layer.rank / 3), error: 0.02 }
        : layer,
  );
  return { ...channels, layers };
}
