/** Channels of zeros that become constants: depthwise layers with normalization, sigmoids, padding. */
import { expect, test } from 'vitest';
import { OpenModels } from '../../src/engine/models';
import { siteOf } from '../../src/engine/resrep';
import { againstZeros, withConstants } from '../../src/engine/zeroChannels';
import { type Graph, int } from '../../src/graph/graph';
import { settingsSchema } from '../../src/protocol/recipe';
import { removeChannels } from '../../src/surgery/channels';
import { withCompactors } from '../../src/surgery/compactors';
import { foldCompactors } from '../../src/surgery/foldCompactors';
import { mobileNet1 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import { denseNet, vgg } from '../support/architectures/residual';
import { groupsOf } from '../support/channels';
import { cutsOf, placesOf } from '../support/compaction';
import { metadataOf } from '../support/graphs';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { outputDifference, randomInputs } from '../support/surgery';

async function reasonsOf(graph: Graph): Promise<Map<string, string>> {
  const groups = await groupsOf(graph);
  const compaction = placesOf(groups);
  const compacted = withCompactors(groups.wiring, compaction.places);
  return againstZeros(compacted, metadataOf(), compaction, groups, [randomInputs(graph)]);
}

/** Three layers with an activation behind the first; the second pads or does not. */
function between(act: string, kernel: number): Graph {
  const net = new Net();
  const x = net.block('a', net.input('x', ['N', 3, 6, 6]), 8, { act });
  net.output('y', net.block('c', net.block('b', x, 6, { kernel }), 4));
  return net.graph();
}

test('zeros stay zeros behind ReLU, and constants are taken over where nothing pads', async () => {
  expect(await reasonsOf(vgg())).toEqual(new Map());
  expect(await reasonsOf(between('Relu', 3))).toEqual(new Map());
  expect(await reasonsOf(between('Sigmoid', 1))).toEqual(new Map());
});

test('a constant that would be padded is a reason against', async () => {
  const reasons = await reasonsOf(between('Sigmoid', 3));
  expect([...reasons]).toEqual([['a', 'channels of zeros become a constant, and b pads its input']]);
});

/** A layer whose channels go through a depthwise layer or a normalization without offsets, and one that pads. */
function shiftless(follow: (net: Net, x: string) => string): Graph {
  const net = new Net();
  const x = follow(net, net.conv('a', net.input('x', ['N', 3, 6, 6]), 8));
  net.output('y', net.conv('c', net.relu(x), 4, { kernel: 3, bias: true }));
  return net.graph();
}

test.each<[string, (net: Net, x: string) => string]>([
  [
    'a depthwise layer with a bias',
    (net, x) => net.op('Conv', [x, net.random('w', [8, 1, 1, 1]), zeros(net)], { group: int(8) }),
  ],
  ['a normalization of its own images', (net, x) => net.op('InstanceNormalization', [x, zeros(net, 1), zeros(net)])],
  ['a normalization behind a concatenation', (net, x) => fresh(net, net.concat([x, x]), 16)],
])('what training may make of zeros is a reason against: %s', async (_, follow) => {
  const reasons = await reasonsOf(shiftless(follow));
  expect([...reasons]).toEqual([['a', 'channels of zeros become a constant, and c pads its input']]);
});

test('zeros stay zeros behind a normalization that is folded', async () => {
  expect(await reasonsOf(shiftless((net, x) => fresh(net, x, 8)))).toEqual(new Map());
});

function zeros(net: Net, value = 0, count = 8): string {
  return net.floats(Array(count).fill(value));
}

/** A BatchNormalization that nothing was trained of. */
function fresh(net: Net, x: string, count: number): string {
  const parameters = [1, 0, 0, 1].map((value) => zeros(net, value, count));
  return net.op('BatchNormalization', [x, ...parameters]);
}

test('what channels of another group add to zeros is a reason against', async () => {
  const net = new Net();
  const x = net.input('x', ['N', 3, 6, 6]);
  const map = net.conv('map', net.block('a', x, 8), 1, { bias: true });
  const sum = net.op('Add', [net.block('b', x, 8, { act: null }), map], {}, 8);
  net.output('y', net.conv('c', net.relu(sum), 4, { bias: true }));
  const reasons = await reasonsOf(net.graph());
  expect([...reasons]).toEqual([['b', 'channels of zeros do not stay constant on their way']]);
});

test('what adds to zeros for inputs below zero alone is a reason against, too', async () => {
  const net = new Net();
  const x = net.input('x', ['N', 1, 6, 6]);
  const sum = net.op('Add', [net.conv('b', x, 8, { kernel: 3, bias: true }), net.op('Neg', [x])], {}, 8);
  net.output('y', net.conv('c', net.relu(sum), 4, { bias: true }));
  const models = new OpenModels();
  try {
    const opened = await models.withShapes(temporaryFile(modelBytes(net.graph())), {});
    const settings = settingsSchema.parse({ method: 'resrep', target: { kind: 'macs', value: 0.5 } });
    await expect(siteOf(opened, settings)).rejects.toMatchObject({
      code: 'nothing-to-compact',
      message: expect.stringContaining('b: channels of zeros do not stay constant on their way'),
    });
  } finally {
    models.closeAll();
  }
});

test.each([
  ['a sigmoid', between('Sigmoid', 1)],
  ['depthwise layers with normalization', mobileNet1()],
  ['normalizations behind concatenations', denseNet()],
])('what becomes of zeros behind %s goes into biases, and nothing changes', async (_, graph) => {
  const site = await groupsOf(graph);
  const compaction = placesOf(site);
  const isGone = (channel: number): boolean => channel % 3 === 1;
  const matrices = compaction.places.flatMap(({ layers, rows }) => {
    const Q = new Float64Array(rows.length ** 2);
    for (const [j, owner] of rows.entries()) Q[j * rows.length + j] = owner && isGone(owner.channel) ? 0 : 1;
    return layers.map((layer) => [layer, Q] as const);
  });
  const folded = foldCompactors(site.wiring, new Map(matrices), 8);
  const now = await groupsOf(folded);
  const cuts = cutsOf(compaction, (_, channel) => isGone(channel));
  const cut = removeChannels(now, cuts, 8);
  expect(await outputDifference(folded, cut)).toBeGreaterThan(1e-3);
  const whole = await withConstants(now, metadataOf(), cuts, cut, [randomInputs(folded)]);
  expect(await outputDifference(folded, whole)).toBeLessThan(1e-5);
});
